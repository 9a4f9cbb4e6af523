/** Stands for the server behind `fetch`: what was asked, and answers that the test finishes when it likes. */

export class Reading {
  private stream!: ReadableStreamDefaultController<Uint8Array>;
  readonly body = new ReadableStream<Uint8Array>({ start: (stream) => void (this.stream = stream) });
  readonly span: string;
  readonly name: string;
  aborted = false;

  constructor(
    readonly form: FormData,
    signal: AbortSignal | null | undefined,
  ) {
    const file = form.get("file");
    this.name = file instanceof File ? file.name : "";
    this.span = ["page_from", "page_to"].map((name) => form.get(name) as string | null).join("-");
    signal?.addEventListener("abort", () => {
      this.aborted = true;
      this.stream.error(new DOMException("aborted", "AbortError"));
    });
  }

  send(...frames: object[]): void {
    for (const frame of frames) this.stream.enqueue(new TextEncoder().encode(`${JSON.stringify(frame)}\n`));
  }

  /** The rest of a document of these pages, with the status of each. */
  finish(pages: Record<number, string>): void {
    const count = Object.keys(pages).length;
    this.send({ type: "start", kind: "pdf", pages: count });
    for (const [page, status] of Object.entries(pages)) {
      this.send({ type: "page_start", page: Number(page) });
      this.send({ type: "page_end", page: Number(page), status, warnings: [], result: result(Number(page), status) });
    }
    this.send({ type: "end", usage: { pages: count, prompt_tokens: 0, completion_tokens: 0, input_bytes: 0 }, ledger: null });
    this.stream.close();
  }
}

export function result(number: number, status = "ok", blocks: object[] = []): object {
  return { number, width: 100, height: 100, status, blocks, raw: "", warnings: [], error: null, confidence: null };
}

export function answerReadings(): Reading[] {
  const readings: Reading[] = [];
  globalThis.fetch = async (_, init) => {
    const reading = new Reading(init?.body as FormData, init?.signal);
    readings.push(reading);
    return Promise.resolve(new Response(reading.body, { status: 200 }));
  };
  return readings;
}

/** Let what waits for promises and frames go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
}
