/**
 * The keyboard's place on the page. When what had it goes away or can no longer be used, the nearest thing that
 * can takes it: the body never does.
 */

const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex="-1"])';

/** Where the focus was: the element, and its place among what can be focused in each thing around it. */
interface Place {
  element: HTMLElement;
  around: { container: Element; at: number }[];
}

export function keepFocus(): void {
  let last: Place | null = null;
  let asked = false;
  document.addEventListener("focusin", ({ target }) => {
    if (target instanceof HTMLElement) last = placeOf(target);
  });
  document.addEventListener("pointerdown", () => (last = null), true);
  const look = (): void => {
    asked = false;
    const lost = document.activeElement === document.body || document.activeElement === null;
    if (lost && last && !isUsable(last.element)) restore(last);
  };
  const changed = new MutationObserver(() => {
    if (asked || !last) return;
    asked = true;
    // Chromium takes the focus from what became unusable with the next frame.
    requestAnimationFrame(() => setTimeout(look));
  });
  changed.observe(document.body, { childList: true, subtree: true, attributeFilter: ["disabled", "hidden"] });
}

function placeOf(element: HTMLElement): Place {
  const around = [];
  for (let container = element.parentElement; container; container = container.parentElement) {
    around.push({ container, at: focusables(container).indexOf(element) });
  }
  return { element, around };
}

function restore({ around }: Place): void {
  for (const { container, at } of around) {
    if (!container.isConnected) continue;
    const near = focusables(container);
    const from = Math.min(Math.max(0, at), near.length);
    for (const element of [...near.slice(from), ...near.slice(0, from).reverse()]) {
      element.focus({ preventScroll: true });
      if (document.activeElement === element) return;
    }
  }
}

const focusables = (container: Element): HTMLElement[] =>
  [...container.querySelectorAll<HTMLElement>(FOCUSABLE)].filter(isUsable);

function isUsable(element: HTMLElement): boolean {
  return element.isConnected && !element.matches(":disabled") && element.checkVisibility();
}
