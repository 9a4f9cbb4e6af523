/**
 * What was read, as DOM. The text comes from a page and is hostile: it passes a list of allowed tags,
 * nothing in it names a style, a link or a picture, and formulas are typeset without trust.
 */

import DOMPurify from "dompurify";
import { Marked, type TokenizerAndRendererExtension } from "marked";

const TAGS = [
  "p", "br", "b", "strong", "i", "em", "u", "s", "del", "sub", "sup", "small", "mark", "code", "pre", "h1", "h2",
  "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "hr", "table", "thead", "tbody",
  "tfoot", "tr", "th", "td", "caption", "colgroup", "col", "span", "div", "math-tex",
];
const ATTRIBUTES = ["colspan", "rowspan", "start", "lang", "dir", "data-tex", "data-display"];

const INLINE_MATH = /^\\\((.+?)\\\)/s;
const DISPLAY_MATH = /^(?:\\\[(.+?)\\\]|\$\$(.+?)\$\$)/s;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function mathToken(name: string, level: "block" | "inline", rule: RegExp, display: boolean, marks: RegExp) {
  const extension: TokenizerAndRendererExtension = {
    name,
    level,
    start: (source) => {
      const at = source.search(marks);
      return at < 0 ? undefined : at;
    },
    tokenizer: (source) => {
      const found = rule.exec(source);
      return found ? { type: name, raw: found[0], tex: (found[1] ?? found[2] ?? "").trim() } : undefined;
    },
    renderer: (token) =>
      `<math-tex data-display="${display}" data-tex="${escapeHtml(String(token["tex"]))}"></math-tex>`,
  };
  return extension;
}

const marked = new Marked({ gfm: true, breaks: true, async: false });
marked.use({
  extensions: [
    mathToken("displayMath", "block", DISPLAY_MATH, true, /\\\[|\$\$/),
    mathToken("displayMathInline", "inline", DISPLAY_MATH, true, /\\\[|\$\$/),
    mathToken("inlineMath", "inline", INLINE_MATH, false, /\\\(/),
  ],
});

// What means something in Markdown or HTML. Most blocks of a page have nothing of it.
const MARKS = /[<>&*_`#\\$[\]|~=]|^\s*([-+]|\d+[.)])\s|^ {4}/m;

/** Paragraphs of plain words, which no parser has to look at. */
function paragraphs(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const words of text.split(/\n\s*\n/)) {
    if (!words.trim()) continue;
    const paragraph = document.createElement("p");
    words
      .trim()
      .split("\n")
      .forEach((line, index) => {
        if (index > 0) paragraph.append(document.createElement("br"));
        paragraph.append(line);
      });
    fragment.append(paragraph);
  }
  return fragment;
}

const ALLOWED = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ATTRIBUTES,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  CUSTOM_ELEMENT_HANDLING: { tagNameCheck: /^math-tex$/, attributeNameCheck: /^data-(tex|display)$/ },
  RETURN_DOM_FRAGMENT: true,
} as const;

/** The first table of an HTML text, of the allowed tags alone. */
export function tableElement(html: string): HTMLTableElement | null {
  return DOMPurify.sanitize(html, ALLOWED).querySelector("table");
}

/** Markdown → a fragment that is safe to show. Formulas are placeholders until `typeset`. */
export function render(markdown: string): DocumentFragment {
  if (!MARKS.test(markdown)) return paragraphs(markdown);
  const html = marked.parse(withMathInTables(markdown)) as string;
  const fragment = DOMPurify.sanitize(html, ALLOWED);
  for (const cell of fragment.querySelectorAll("td, th")) {
    if (cell.querySelector("math-tex")) continue;
    cell.replaceChildren(...placeholders(cell));
  }
  return fragment;
}

/** Tables come as HTML, which Markdown leaves alone: the formulas in their cells are found here. */
function placeholders(cell: Element): Node[] {
  return [...cell.childNodes].flatMap((node) => {
    if (node.nodeType !== Node.TEXT_NODE) return [node];
    const parts = (node.textContent ?? "").split(/(\\\(.+?\\\))/s);
    return parts.filter(Boolean).map((part) => {
      if (!INLINE_MATH.test(part)) return document.createTextNode(part);
      const element = document.createElement("math-tex");
      element.dataset["tex"] = part.slice(2, -2);
      return element;
    });
  });
}

/** A blank line inside a table would end it for Markdown. */
function withMathInTables(markdown: string): string {
  return markdown.replace(/<table[\s\S]*?<\/table>/gi, (table) => table.replace(/\n\s*\n/g, "\n"));
}

let katex: Promise<typeof import("katex").default> | null = null;

/** Typeset the formulas below `root`; loads KaTeX when the first is seen. */
export async function typeset(root: HTMLElement): Promise<void> {
  const formulas = root.querySelectorAll<HTMLElement>("math-tex");
  if (formulas.length === 0) return;
  katex ??= import("./katex").then((module) => module.katex);
  const { render: draw } = await katex;
  for (const formula of formulas) {
    const tex = formula.dataset["tex"] ?? "";
    try {
      draw(tex, formula, {
        displayMode: formula.dataset["display"] === "true",
        throwOnError: true,
        trust: false,
        strict: false,
        maxExpand: 200,
        maxSize: 20,
      });
    } catch {
      formula.textContent = tex; // what cannot be typeset is shown as it was read
      formula.classList.add("bad-tex");
    }
  }
}

/** The words of a block, for finding: without tags and marks. */
export function plain(markdown: string): string {
  return markdown
    .replace(/<[^>]{0,500}>/g, " ")
    .replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name] ?? " ")
    .replace(/(^|\n)\s{0,3}#{1,6}\s+/g, "$1")
    .replace(/\*\*|__/g, "");
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
