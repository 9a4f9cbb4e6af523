import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef } from "react";

import { thumbnailPath } from "../api/jobs";
import type { DocumentState, PageState } from "../state/documents";
import { usePicture } from "../state/pictures";
import { useTexts } from "../texts";
import { Picture } from "./Picture";

const ROW = 132;

interface Props {
  document: DocumentState;
  current: number;
  onChoose: (index: number) => void;
}

/** The pages in small, drawn only while they are in sight. */
export function Thumbnails({ document: shown, current, onChoose }: Props) {
  const { t } = useTexts();
  const scroller = useRef<HTMLElement>(null);
  const virtualizer = useVirtualizer({
    count: shown.pages.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 2,
    useFlushSync: false,
  });
  useEffect(() => {
    virtualizer.scrollToIndex(current, { align: "auto" });
  }, [current, virtualizer]);

  return (
    <nav className="thumbnails" ref={scroller} aria-label={t("page.go")}>
      <div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
        {virtualizer.getVirtualItems().map((row) => {
          const page = shown.pages[row.index];
          if (!page) return null;
          return (
            <div key={row.key} className="thumbnail-slot" style={{ transform: `translateY(${row.start}px)` }}>
              <Thumbnail
                documentId={shown.id}
                path={shown.jobId && page.index !== null ? thumbnailPath(shown.jobId, page.index) : null}
                page={page}
                current={row.index === current}
                index={row.index}
                onChoose={onChoose}
              />
            </div>
          );
        })}
      </div>
    </nav>
  );
}

interface ThumbnailProps {
  documentId: string;
  path: string | null;
  page: PageState;
  index: number;
  current: boolean;
  onChoose: (index: number) => void;
}

const Thumbnail = memo(
  function Thumbnail({ documentId, path, page, index, current, onChoose }: ThumbnailProps) {
    const { t } = useTexts();
    const picture = usePicture(documentId, page.number, "thumbnail", path);
    return (
      <button
        type="button"
        className={`thumbnail status-${page.status}`}
        aria-current={current ? "page" : undefined}
        aria-label={`${t("page", { number: page.number })}, ${t(`status.${page.status}`)}`}
        onClick={() => onChoose(index)}
      >
        {picture ? <Picture picture={picture} label="" /> : <span className="blank" />}
        <span className="thumbnail-number">{page.number}</span>
      </button>
    );
  },
  (a, b) => a.page.status === b.page.status && a.current === b.current && a.documentId === b.documentId && a.index === b.index,
);
