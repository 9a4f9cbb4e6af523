/** How files are to be read; empty strings leave the choice to the server. */

export interface Options {
  readonly mode: string;
  readonly preset: string;
  readonly prompt: string;
  readonly language: string;
  readonly dpi: number;
  readonly pageFrom: string;
  readonly pageTo: string;
  readonly password: string;
  readonly crosscheck: boolean;
  readonly outputs: readonly string[];
}

export const START_OPTIONS: Options = {
  mode: "",
  preset: "document",
  prompt: "",
  language: "",
  dpi: 144,
  pageFrom: "",
  pageTo: "",
  password: "",
  crosscheck: false,
  outputs: ["markdown", "json", "searchable_pdf"],
};
