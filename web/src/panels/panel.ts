/** What can lie over the screen. */

export type Panel = "jobs" | "usage" | "account";
