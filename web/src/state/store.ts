/** A value that components can watch. Changes within one frame are told together. */

import { useSyncExternalStore } from "react";

export class Store<T> {
  private listeners = new Set<() => void>();
  private shown: T;
  private pending = false;

  constructor(private value: T) {
    this.shown = value;
  }

  get(): T {
    return this.value;
  }

  set(value: T): void {
    this.value = value;
    if (this.pending) return;
    this.pending = true;
    // A hidden tab draws no frames, but its work goes on.
    if (document.hidden) setTimeout(() => this.tell(), 100);
    else requestAnimationFrame(() => this.tell());
  }

  update(change: (value: T) => T): void {
    this.set(change(this.value));
  }

  private tell(): void {
    this.pending = false;
    this.shown = this.value;
    for (const listener of this.listeners) listener();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): T => this.shown;
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.snapshot);
}
