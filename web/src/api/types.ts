/** The server's nouns, field for field as in its JSON. Boxes are pixels of the page: x0, y0, x1, y1. */

export type Box = [number, number, number, number];
export type PageStatus = "ok" | "degraded" | "failed";

export interface Line {
  text: string;
  box: Box;
  confidence: number | null;
}

export interface Block {
  label: string;
  text: string;
  boxes: Box[];
  confidence: number | null;
  /** `Line[]` as JSON: see `state/lines.ts`. */
  lines: string;
  /** Set by the page, not by the server: a person changed the text. */
  edited?: boolean;
}

/** A block as the server sends and takes it. */
export type SentBlock = Omit<Block, "lines"> & { lines: Line[] };

export interface Problem {
  code: string;
  message: string;
  remedy: string;
}

/** A number or name that two engines read differently. */
export interface Disagreement {
  kind: "number" | "name";
  reading: string;
  other_reading: string;
  engine: string;
  box: Box | null;
  other_box: Box | null;
}

export interface PageResult<B = Block> {
  number: number;
  width: number;
  height: number;
  width_pt: number | null;
  height_pt: number | null;
  status: PageStatus;
  confidence: number | null;
  finish_reason: string;
  blocks: B[];
  raw: string;
  usage: { prompt_tokens: number; completion_tokens: number; image_tokens: number; seconds: number };
  warnings: string[];
  error: Problem | null;
  disagreements?: Disagreement[] | null;
}

export type SentPage = PageResult<SentBlock>;

export interface Ledger {
  expected: number;
  ok: number;
  degraded: number;
  failed: number;
}

export interface Feature {
  available: boolean;
  reason: string | null;
}

export interface Service {
  service: string;
  version: string;
  engine: string;
  engine_reason: string;
  model: string;
  ready: boolean;
  status: string;
  features: Record<string, Feature>;
}

export interface Info {
  engine: {
    name: string;
    model: string;
    device: string;
    supports_prompt: boolean;
    supports_modes: boolean;
    languages: string[] | null;
  };
  modes: string[];
  default_mode: string;
  prompts: Record<string, string>;
  outputs: string[];
  limits: Record<string, number>;
}

/** How files are to be read; empty strings leave the choice to the server. */
export interface Options {
  mode: string;
  preset: string;
  prompt: string;
  language: string;
  dpi: number;
  pageFrom: string;
  pageTo: string;
  password: string;
  crosscheck: boolean;
  outputs: string[];
}
