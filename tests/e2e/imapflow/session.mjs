// One session of imapflow: node session.mjs PORT LOGIN PASSWORD
// Each line on standard output is a JSON object. One with "want" asks the test to do that from
// outside, while the session is in IDLE.
import { ImapFlow } from "imapflow";

const [port, user, pass] = process.argv.slice(2);
const client = new ImapFlow({
  host: "127.0.0.1",
  port: Number(port),
  secure: true,
  tls: { rejectUnauthorized: false },
  auth: { user, pass },
  logger: false,
  qresync: true,
});
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const event = (name) => new Promise((resolve) => client.once(name, resolve));
// Which session a message is \Recent in is chance.
const flagsOf = (m) => [...m.flags].filter((flag) => flag !== "\\Recent").sort();

await client.connect();
const mailboxes = await client.list({ statusQuery: { messages: true } });
say({
  mailboxes: Object.fromEntries(mailboxes.map((m) => [m.path, m.specialUse ?? ""])),
  inbox: mailboxes.find((m) => m.path === "INBOX").status.messages,
});

const lock = await client.getMailboxLock("INBOX");
say({ enabled: [...client.enabled].sort(), exists: client.mailbox.exists });
const before = client.mailbox.highestModseq;

async function fetched(range, query, options) {
  const found = [];
  for await (const m of client.fetch(range, { uid: true, flags: true, ...query }, options)) {
    found.push({
      seq: m.seq,
      uid: m.uid,
      flags: flagsOf(m),
      subject: m.envelope?.subject,
      from: m.envelope?.from?.[0]?.address,
      type: m.bodyStructure?.type,
      parts: m.bodyStructure?.childNodes?.map((part) => part.type),
      source: m.source?.toString("latin1"),
    });
  }
  return found;
}
say({ messages: await fetched("1:*", { envelope: true, bodyStructure: true, source: true }) });
const { content, meta } = await client.download("1", "2");
const chunks = [];
for await (const chunk of content) chunks.push(chunk);
say({ attachment: Buffer.concat(chunks).toString("latin1"), filename: meta.filename });

// IDLE: a new message, flags that change, and one that goes.
let heard = event("exists");
client.idle();
say({ want: "deliver" });
const { count, prevCount } = await heard;
heard = event("flags");
client.idle();
say({ arrived: { count, prevCount }, want: "flag" });
const flagged = await heard;
heard = event("expunge");
client.idle();
say({ flagged: { seq: flagged.seq, flags: flagsOf(flagged) }, want: "expunge" });
const gone = await heard;
say({ gone: { uid: gone.uid, vanished: gone.vanished } });

say({ changed: await fetched("1:*", {}, { changedSince: before }) });
say({ found: await client.search({ subject: "from outside" }, { uid: true }) });
say({ text: await client.search({ body: "attachment of the first" }, { uid: true }) });

const draft = await client.append("Drafts", "Subject: by imapflow\r\n\r\nGr\u00fc\u00dfe\r\n",
  ["\\Draft", "$Later"], new Date("2020-02-29T12:00:00Z"));
say({ draft: { destination: draft.destination, uid: draft.uid } });
await client.messageFlagsAdd("1", ["\\Answered"]);
await client.mailboxCreate("Projekte/\u00dcbersicht");
const moved = await client.messageMove("1", "Projekte/\u00dcbersicht");
say({ moved: { destination: moved.destination, uids: [...moved.uidMap] } });
const copied = await client.messageCopy("1", "Archive");
say({ copied: [...copied.uidMap] });
await client.messageDelete("1");
lock.release();
say({
  left: (await client.status("INBOX", { messages: true })).messages,
  quota: Boolean(await client.getQuota("INBOX")),
});
await client.logout();
