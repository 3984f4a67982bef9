// Reads rendered Kubernetes YAML on standard input, checks each document against the types of the
// Kubernetes API (unknown and misspelt fields are errors) and prints the documents as JSON.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

const types = {
  ConfigMap: "core/v1", Service: "core/v1", Deployment: "apps/v1", Job: "batch/v1",
};
const documents = parseAllDocuments(readFileSync(0, "utf8")).map((d) => d.toJS());
const lines = [];
documents.forEach((document, i) => {
  const group = types[document.kind];
  if (!group) throw new Error(`no type for ${document.kind}`);
  lines.push(`import type { ${document.kind} as T${i} } from "kubernetes-types/${group}";`);
  lines.push(`export const d${i}: T${i} = ${JSON.stringify(document, null, 1)};`);
});
writeFileSync("documents.ts", lines.join("\n"));
try {
  execFileSync("node_modules/.bin/tsc", ["--noEmit", "--strict", "--skipLibCheck", "--module",
    "es2022", "--moduleResolution", "node", "--target", "es2022", "documents.ts"], { encoding: "utf8" });
} catch (error) {
  process.stderr.write(error.stdout);
  process.exit(1);
}
process.stdout.write(JSON.stringify(documents));
