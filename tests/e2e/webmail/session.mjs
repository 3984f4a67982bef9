// A person at Roundcube: node session.mjs CHROMIUM URL LOGIN PASSWORD DIRECTORY
// Prints one JSON object of what the pages showed; DIRECTORY keeps a picture of the last one if it
// fails.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [chromium, url, login, password, directory] = process.argv.slice(2);
const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: "shell",
  userDataDir: join(directory, "profile"),
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"],
  defaultViewport: { width: 1280, height: 900 },
  protocolTimeout: 120_000,
});
const page = await browser.newPage();
page.setDefaultTimeout(60_000);
const seen = {};

// Whether Roundcube waits for an answer of its own.
const settled = () => page.waitForFunction(() => window.rcmail && !window.rcmail.busy);
// The subjects in the list; rows that have gone may be there, but hidden.
const subjects = () => page.$$eval("#messagelist tr.message span.subject a", (links) =>
  links.filter((link) => link.checkVisibility()).map((link) => link.textContent.trim()).sort());
const untilListed = (wanted) => page.waitForFunction((names) => {
  const links = [...document.querySelectorAll("#messagelist tr.message span.subject a")];
  return links.filter((link) => link.checkVisibility()).map((link) => link.textContent.trim())
    .sort().join("\n") === names;
}, {}, [...wanted].sort().join("\n"));
// The frame in which a click on `subject` shows the message.
async function open(subject) {
  const link = await page.waitForSelector(`#messagelist ::-p-text(${subject})`);
  await link.click();
  const element = await page.waitForSelector("#messagecontframe");
  const frame = await element.contentFrame();
  await frame.waitForFunction((text) =>
    document.querySelector("h2.subject")?.textContent.includes(text) &&
    document.querySelector("#messagebody"), {}, subject);
  return frame;
}

try {
  await page.goto(url);
  await page.type("#rcmloginuser", login);
  await page.type("#rcmloginpwd", "wrong " + password);
  await page.click("#rcmloginsubmit");
  await page.waitForSelector("#messagestack .warning");
  await page.type("#rcmloginuser", "");
  await page.$eval("#rcmloginuser", (input, value) => { input.value = value; }, login);
  await page.type("#rcmloginpwd", password);
  await page.click("#rcmloginsubmit");
  await untilListed(["A page", "To be moved", "Plain words"]);
  seen.folders = await page.$$eval("#mailboxlist li.mailbox > a",
    (links) => links.map((link) => link.firstChild.textContent.trim()));

  // A message in HTML with an attachment.
  const frame = await open("A page");
  seen.text = await frame.$eval("#messagebody", (body) => body.innerText);
  seen.bold = await frame.$eval("#messagebody b", (bold) => bold.textContent);
  seen.scripts = await frame.$$eval("#messagebody script", (scripts) => scripts.length);
  seen.run = await frame.evaluate(() => Boolean(window.attacked));
  seen.attachment = await frame.$eval("#attachment-list .attachment-name",
    (name) => name.textContent.trim());
  seen.content = await frame.$eval("#attachment-list li a", async (link) => {
    const answer = await fetch(link.href + "&_download=1");
    return String.fromCharCode(...new Uint8Array(await answer.arrayBuffer()));
  });

  // A word in the body of one of them.
  await page.evaluate(() => document.querySelector("#mailsearchform").focus());
  await page.click("#mailsearchform");
  await page.evaluate(() => {
    for (const box of document.querySelectorAll("input[name='s_mods[]']")) {
      box.checked = box.value === "text";
    }
    window.rcmail.env.search_mods = { "*": { text: 1 } };
  });
  await page.type("#mailsearchform", "needle");
  await page.keyboard.press("Enter");
  await untilListed(["Plain words"]);
  seen.found = await subjects();
  await settled();
  await page.evaluate(() => window.rcmail.command("reset-search"));
  await untilListed(["A page", "To be moved", "Plain words"]);

  // One goes into another folder, by the menu.
  await open("To be moved");
  await settled();
  await page.click("#messagemenulink");
  const move = await page.waitForSelector("#message-menu a.move.active", { visible: true });
  await move.click();
  const archive = await page.waitForSelector("#folder-selector ::-p-text(Archive)",
    { visible: true });
  await archive.click();
  await untilListed(["A page", "Plain words"]);

  // And one is written, with an attachment.
  await settled();
  await page.goto(url + "?_task=mail&_action=compose");
  const to = await page.waitForSelector("#compose_to .recipient-input input");
  await to.type("bob@example.test,");
  await page.type("#compose-subject", "Gr\u00fc\u00dfe by Roundcube");
  await page.type("#composebody", "Written in a browser: \u00e4\u00f6\u00fc \u20ac.");
  const file = join(directory, "numbers.csv");
  writeFileSync(file, "a;b\r\n1;2\r\n");
  const chooser = page.waitForFileChooser();
  await page.evaluate(() => document.querySelector("#compose-attachments button.attach").click());
  await (await chooser).accept([file]);
  await page.waitForFunction(() =>
    document.querySelector("#attachment-list li:not(.uploading)")?.textContent.includes("numbers.csv"));
  await settled();
  await page.click(".formbuttons button.send");
  await page.waitForFunction(() => location.search.includes("_task=mail") &&
    !location.search.includes("compose"));
  await untilListed(["A page", "Plain words"]);
  seen.after = await subjects();
  process.stdout.write(JSON.stringify(seen) + "\n");
} catch (error) {
  await page.screenshot({ path: join(directory, "failed.png") });
  process.stderr.write(`${error.stack}\n${page.url()}\n${JSON.stringify(seen)}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
