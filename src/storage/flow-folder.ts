import { createHash } from "node:crypto";

const MAX_SLUG_CHARS = 60;

/** The flow's name in letters that every file system and bucket takes; a name that had to be changed gets some of its hash, so that no two share a folder. */
export function flowFolder(flowName: string): string {
  const slug = flowName
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .slice(0, MAX_SLUG_CHARS);
  if (slug === flowName) return slug;
  return [slug, createHash("sha256").update(flowName).digest("hex").slice(0, 8)]
    .filter((part) => part !== "")
    .join("-");
}
