import { type KeyboardEvent, memo, useLayoutEffect, useMemo, useRef, useState } from "react";

import type { Block } from "../api/types";
import { isDoubtful } from "../state/confidence";
import { editBlock, type PageState } from "../state/documents";
import { formatPercent, useTexts } from "../texts";
import { labelText } from "../texts/problems";
import { render, typeset } from "./markdown";
import { kindOf } from "./PagePicture";
import { Picture } from "./Picture";
import { TableEditor } from "./TableEditor";
import { parseTable } from "./tables";

interface Props {
  documentId: string;
  page: PageState;
  block: Block;
  index: number;
  picture: Blob | null;
  lit: boolean;
  onLight: (index: number | null) => void;
}

/** A piece of the page: shown, pointed at, corrected. */
export const BlockView = memo(function BlockView({ documentId, page, block, index, picture, lit, onLight }: Props) {
  const { t, language } = useTexts();
  const [editing, setEditing] = useState(false);
  const host = useRef<HTMLDivElement>(null);
  const doubtful = isDoubtful(block.confidence);
  const confidence =
    block.confidence === null ? "" : t("block.confidence", { percent: formatPercent(block.confidence, language) });

  const close = (): void => {
    setEditing(false);
    requestAnimationFrame(() => host.current?.focus({ preventScroll: true }));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter") {
      event.preventDefault();
      setEditing(true);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
      const neighbour = event.currentTarget[next];
      if (neighbour instanceof HTMLElement && neighbour.dataset["block"]) {
        event.preventDefault();
        neighbour.focus();
      }
    }
  };

  return (
    <div
      ref={host}
      className={`block kind-${kindOf(block.label)}${lit ? " lit" : ""}${doubtful ? " doubtful" : ""}${block.edited ? " edited" : ""}`}
      data-block={index}
      role="group"
      aria-label={[t("block", { label: labelText(block.label, t), index: index + 1 }), confidence].filter(Boolean).join(", ")}
      tabIndex={0}
      onPointerEnter={() => onLight(index)}
      onPointerLeave={() => onLight(null)}
      onFocus={() => onLight(index)}
      onBlur={() => onLight(null)}
      onClick={() => showBox(host.current, index)}
      onDoubleClick={() => setEditing(true)}
      onKeyDown={onKeyDown}
    >
      <div className="block-tools">
        <span className="block-label" title={confidence}>
          {labelText(block.label, t)}
          {doubtful && ` · ${formatPercent(block.confidence ?? 0, language)}`}
        </span>
        {!editing && (
          <button type="button" className="small" onClick={() => setEditing(true)} tabIndex={-1}>
            {t("edit")}
          </button>
        )}
      </div>
      {editing ? (
        <Editor
          text={block.text}
          onCancel={close}
          onSave={(text) => {
            editBlock(documentId, page.number, index, text);
            close();
          }}
        />
      ) : (
        <>
          {kindOf(block.label) === "figure" && picture && <Crops block={block} page={page} picture={picture} />}
          <Rendered text={block.text} />
        </>
      )}
      {doubtful && <p className="why">{t("block.low")}</p>}
      {block.edited && <p className="why">{t("block.edited")}</p>}
    </div>
  );
});

/** The boxes of a block come into sight on the page's picture. */
function showBox(host: HTMLElement | null, index: number): void {
  const box = host?.closest(".page-body")?.querySelector(`[data-box="${index}"]`);
  box?.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

const Rendered = memo(function Rendered({ text }: { text: string }) {
  const host = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!host.current) return;
    host.current.replaceChildren(render(text));
    void typeset(host.current);
  }, [text]);
  return <div className="rendered" ref={host} />;
});

/** The figure itself, cut out of the page's picture. */
function Crops({ block, page, picture }: { block: Block; page: PageState; picture: Blob }) {
  const parts = useMemo(() => block.boxes.map((box) => ({ box, of: page.width })), [block.boxes, page.width]);
  return parts.map((part, index) => (
    <div key={index} className="crop">
      <Picture picture={picture} label="" part={part} />
    </div>
  ));
}

interface EditorProps {
  text: string;
  onSave: (text: string) => void;
  onCancel: () => void;
}

/** A table is edited as a table, all else as the Markdown that it is. */
function Editor(props: EditorProps) {
  const [cells] = useState(() => parseTable(props.text));
  return cells ? <TableEditor cells={cells} {...props} /> : <TextEditor {...props} />;
}

function TextEditor({ text, onSave, onCancel }: EditorProps) {
  const { t } = useTexts();
  const [value, setValue] = useState(text);
  const onKeyDown = (event: KeyboardEvent): void => {
    event.stopPropagation();
    if (event.key === "Escape") onCancel();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSave(value);
  };
  return (
    <div className="editor">
      <textarea
        autoFocus
        aria-label={t("block.editor")}
        value={value}
        rows={Math.min(24, Math.max(3, value.split("\n").length + Math.ceil(value.length / 80)))}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <div className="row">
        <button type="button" className="primary small" onClick={() => onSave(value)}>
          {t("save")}
        </button>
        <button type="button" className="small" onClick={onCancel}>
          {t("cancel")}
        </button>
        <span className="muted">{t("block.save_hint")}</span>
      </div>
    </div>
  );
}
