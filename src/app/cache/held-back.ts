// Keys whose load has just failed: until a time they are not tried again. Bounded; of too many the longest known are
// forgotten, which costs them a try.

export interface Failed {
  readonly cause: unknown
  /** Microseconds. */
  readonly untilAt: number
}

const keysMax = 1_024

export class HeldBack {
  readonly #failed = new Map<string, Failed>()

  hold(key: string, cause: unknown, untilAt: number): void {
    this.#failed.delete(key)
    this.#failed.set(key, { cause, untilAt })
    if (this.#failed.size <= keysMax) return
    let left = keysMax / 2
    for (const oldest of this.#failed.keys()) {
      if (left-- === 0) return
      this.#failed.delete(oldest)
    }
  }

  find(key: string, now: number): Failed | null {
    if (this.#failed.size === 0) return null
    const failed = this.#failed.get(key)
    if (failed === undefined) return null
    if (now < failed.untilAt) return failed
    this.#failed.delete(key)
    return null
  }

  end(key: string): void {
    if (this.#failed.size > 0) this.#failed.delete(key)
  }

  clear(): void {
    this.#failed.clear()
  }
}
