/** What `watchReadable` and its thread share. */

/** Descriptors at once, in one process. */
export const MAX_WATCHED = 4096;
/** struct pollfd { i32 fd; i16 events; i16 revents } */
export const POLLFD_LENGTH = 8;

/** Places of 32-bit words. */
export const WORD = {
  /** 1: the thread is to end. */
  stop: 0,
  /** Slots that were ever in use: the rest needs no look. */
  used: 1,
  /** Of each slot one of SLOT_STATE, and its descriptor. */
  states: 2,
  fds: 2 + MAX_WATCHED,
} as const;
export const WORDS = 2 + 2 * MAX_WATCHED;

export const SLOT_STATE = {
  /** In nobody's hands; the thread does not touch its descriptor. */
  free: 0,
  /** The thread waits for it. */
  armed: 1,
  /** It was ready, and main has not armed it again. */
  fired: 2,
  /** Main wants it back; the thread answers when it holds it no more. */
  releasing: 3,
} as const;

export interface WatchSetup {
  readonly shared: SharedArrayBuffer;
  readonly wakeFd: number;
}

export type WatchReport = { readonly ready: number[] } | { readonly released: number[] };
