/**
 * How deeply brackets are nested in a GraphQL document, as far as `most` + 1: its parser, its rules and its executor call
 * themselves once a level, and would run out of stack. Brackets in texts and comments do not count.
 */
export function nestingOf(text: string, most: number): number {
  let [depth, deepest] = [0, 0];
  for (let at = 0; at < text.length && deepest <= most; at++) {
    switch (text[at]) {
      case "{":
      case "[":
      case "(":
        depth += 1;
        if (depth > deepest) deepest = depth;
        break;
      case "}":
      case "]":
      case ")":
        depth -= 1;
        break;
      case '"':
        at = endOfText(text, at);
        break;
      case "#":
        at = endOfLine(text, at);
        break;
      default:
    }
  }
  return deepest;
}

/** The place of the last quote; one that does not end there is the parser's to refuse. */
function endOfText(text: string, start: number): number {
  const isBlock = text.startsWith('"""', start);
  for (let at = start + (isBlock ? 3 : 1); at < text.length; at++) {
    if (text[at] === "\\") at += isBlock && text.startsWith('"""', at + 1) ? 3 : isBlock ? 0 : 1;
    else if (isBlock ? text.startsWith('"""', at) : text[at] === '"') return isBlock ? at + 2 : at;
    else if (!isBlock && (text[at] === "\n" || text[at] === "\r")) return at;
  }
  return text.length;
}

function endOfLine(text: string, start: number): number {
  for (let at = start; at < text.length; at++) if (text[at] === "\n" || text[at] === "\r") return at;
  return text.length;
}
