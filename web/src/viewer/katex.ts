/** KaTeX with its style sheet and fonts, in a file of its own that loads with the first formula. */

import "katex/dist/katex.min.css";

export { default as katex } from "katex";
