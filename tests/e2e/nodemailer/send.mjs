// Sends standard input as it is: node send.mjs PORT implicit|starttls SENDER PASSWORD RECIPIENT...
import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const [port, security, sender, password, ...recipients] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port: Number(port),
  name: "client.test",
  secure: security === "implicit",
  requireTLS: true,
  tls: { rejectUnauthorized: false },
  auth: { user: sender, pass: password },
});
const sent = await transport.sendMail({
  envelope: { from: sender, to: recipients },
  raw: readFileSync(0),
});
if (sent.rejected.length > 0) throw new Error(`refused: ${sent.rejected}`);
