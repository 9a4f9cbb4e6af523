/** What the parts of the viewer tell each other. */

export type View = "read" | "markdown" | "raw" | "json";
export type Fit = "page" | "width";

/** A found place to go to: its page, its number there, and a count that rises with each wish. */
export interface Target {
  index: number;
  nth: number;
  wish: number;
}
