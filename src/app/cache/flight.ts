// One load on its way, and the waiting for it: many callers, one load. A flight remembers what was forgotten when it
// began, so that its owner can tell whether its result may still be stored or shared with newcomers.

import { Failure } from '../../kit/failure.ts'
import { cacheFailures } from './failures.ts'

export interface LoadContext {
  readonly key: string
  /** Aborted by the hard time-out, and when the cache is closed. */
  readonly signal: AbortSignal
  /** What is there and no longer fresh. */
  readonly stale: unknown
}

/** `null` and `undefined` mean that there is nothing, and are remembered for `negativeTtlMs`. */
export type Load<T> = (context: LoadContext) => T | Promise<T>

/** What was forgotten, and whether a fence stood, when a value was begun to be fetched. */
export interface Mark {
  readonly key: string
  /** The key's clock then: another one now, and the key was forgotten meanwhile. */
  readonly keyClock: number
  /** `TagVersions.latest` then. */
  readonly since: number
  /** No fence stood then. */
  readonly storable: boolean
}

export class Flight implements Mark {
  readonly key: string
  readonly keyClock: number
  readonly since: number
  readonly storable: boolean
  /** Null: only the loaded value will tell. */
  readonly tags: readonly string[] | null
  /** What callers get. */
  readonly answer: Promise<unknown>
  readonly controller: AbortController = new AbortController()
  /** Its callers have their value; it may still be on its way into the shared tier. */
  answered = false
  resolve!: (value: unknown) => void
  reject!: (cause: unknown) => void

  constructor(mark: Mark, tags: readonly string[] | null) {
    this.key = mark.key
    this.keyClock = mark.keyClock
    this.since = mark.since
    this.storable = mark.storable
    this.tags = tags
    this.answer = new Promise((resolve, reject) => {
      this.resolve = value => {
        this.answered = true
        resolve(value)
      }
      this.reject = reject
    })
    // Nobody may be waiting: a refresh in the background.
    this.answer.catch(() => {})
  }
}

/** Calls `load`, not longer than `limitMs`; a result that comes later is dropped. */
export function loadWithin(
  load: Load<unknown>,
  context: LoadContext,
  controller: AbortController,
  limitMs: number,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const late = (): void =>
      controller.abort(
        new Failure(
          cacheFailures.loadTimeout,
          `${context.key}: no value within ${limitMs} ms (hardTimeoutMs)`,
        ),
      )
    const timer = setTimeout(late, limitMs)
    const given = (): void => {
      clearTimeout(timer)
      reject(controller.signal.reason)
    }
    if (controller.signal.aborted) return given()
    controller.signal.addEventListener('abort', given, { once: true })
    const end = (): void => {
      clearTimeout(timer)
      controller.signal.removeEventListener('abort', given)
    }
    attempt(load, context).then(resolve, reject).finally(end)
  })
}

async function attempt(load: Load<unknown>, context: LoadContext): Promise<unknown> {
  return load(context)
}

/** The promise, unless the caller's own signal comes first: then its reason, and the load goes on for the others. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(signal.reason)
    if (signal.aborted) return gone()
    signal.addEventListener('abort', gone, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', gone))
  })
}

export const late: unique symbol = Symbol('late')

/** The promise's value, or `late` after `limitMs`; 0: at once. Rejects as the promise does, if in time. */
export function within<T>(promise: Promise<T>, limitMs: number): Promise<T | typeof late> {
  if (limitMs === 0) return Promise.resolve(late)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(late), limitMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
