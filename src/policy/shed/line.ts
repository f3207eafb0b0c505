// Who waits for a place, and for how long: a line for each class. While a line empties now and then it is first come,
// first served, and who waits is patient. Once it has not been empty for `intervalUs` it stands: then nobody waits longer
// than `targetUs`, and the newest is served first, because the oldest have waited longest and are the most likely to be
// given up by their clients. Nothing here knows what waits.
//
// Sources: Nichols and Jacobson, "Controlling queue delay" (CoDel), 2012: delay that stands, not length, is what is bad;
// Maurer, "Fail at scale", ACM Queue 2015: CoDel by time-outs and adaptive LIFO for queues of requests.

import { Importance, type ImportanceCode } from './importance.ts'

export interface LineSettings {
  readonly targetUs: number
  readonly intervalUs: number
  /** Nobody waits longer, whatever the class. */
  readonly patienceUs: number
}

/** Critical requests may wait so many times longer than others. */
const criticalPatience = 10

/** A place in the line; its owner keeps it to leave. */
export interface Waiting<T> {
  readonly who: T
  readonly importance: ImportanceCode
  readonly sinceUs: number
}

class Node<T> implements Waiting<T> {
  readonly who: T
  readonly importance: ImportanceCode
  readonly sinceUs: number
  older: Node<T> | null = null
  newer: Node<T> | null = null
  waits = true

  constructor(who: T, importance: ImportanceCode, sinceUs: number) {
    this.who = who
    this.importance = importance
    this.sinceUs = sinceUs
  }
}

/** By age. */
class ClassLine<T> {
  oldest: Node<T> | null = null
  newest: Node<T> | null = null
  /** When it was empty last; only meant while it is not. */
  emptyUs = 0

  add(node: Node<T>): void {
    if (this.newest === null) {
      this.oldest = node
      this.emptyUs = node.sinceUs
    } else {
      node.older = this.newest
      this.newest.newer = node
    }
    this.newest = node
  }

  /** Where it was: only the oldest and the newest are ever offered a place. */
  putBack(node: Node<T>): void {
    if (this.oldest === null || this.newest === null) this.oldest = this.newest = node
    else if (node.sinceUs <= this.oldest.sinceUs) {
      node.newer = this.oldest
      this.oldest.older = node
      this.oldest = node
    } else {
      node.older = this.newest
      this.newest.newer = node
      this.newest = node
    }
  }

  remove(node: Node<T>): void {
    if (node.older === null) this.oldest = node.newer
    else node.older.newer = node.newer
    if (node.newer === null) this.newest = node.older
    else node.newer.older = node.older
    node.older = node.newer = null
  }
}

export class WaitingLine<T> {
  readonly #lines = [new ClassLine<T>(), new ClassLine<T>(), new ClassLine<T>()] as const
  count = 0

  enter(who: T, importance: ImportanceCode, now: number): Waiting<T> {
    const node = new Node(who, importance, now)
    this.#lines[importance].add(node)
    this.count++
    return node
  }

  /** Whoever is served, dropped or gone. Does nothing for who has left already. */
  leave(waiting: Waiting<T>): void {
    const node = waiting as Node<T>
    if (!node.waits) return
    node.waits = false
    this.#lines[node.importance].remove(node)
    this.count--
  }

  /** Who has just left, because a place was offered, could not take it: waits on as if nothing had been. */
  putBack(waiting: Waiting<T>): void {
    const node = waiting as Node<T>
    if (node.waits) return
    node.waits = true
    this.#lines[node.importance].putBack(node)
    this.count++
  }

  /** Who is served next: of the highest class that anybody waits in. */
  next(now: number, settings: LineSettings): Waiting<T> | null {
    for (let importance = Importance.critical as number; importance >= 0; importance--) {
      const line = this.#lines[importance] as ClassLine<T>
      if (line.oldest !== null) return this.#stands(line, now, settings) ? line.newest : line.oldest
    }
    return null
  }

  /** Somebody who has waited too long; null: nobody. */
  late(now: number, settings: LineSettings): Waiting<T> | null {
    for (const line of this.#lines) {
      const { oldest } = line
      if (oldest !== null && now - oldest.sinceUs >= this.#boundUs(line, oldest.importance, now, settings))
        return oldest
    }
    return null
  }

  /** Who gives way to somebody of a higher class when no more may wait: the oldest of the lowest class. */
  givesWay(importance: ImportanceCode): Waiting<T> | null {
    for (let lower = 0; lower < importance; lower++) {
      const { oldest } = this.#lines[lower] as ClassLine<T>
      if (oldest !== null) return oldest
    }
    return null
  }

  /** Does anybody wait who comes before somebody new of this class? In a line that stands the newest is first. */
  isBehind(importance: ImportanceCode, now: number, settings: LineSettings): boolean {
    for (let higher = Importance.critical as number; higher > importance; higher--)
      if ((this.#lines[higher] as ClassLine<T>).oldest !== null) return true
    const own = this.#lines[importance]
    return own.oldest !== null && !this.#stands(own, now, settings)
  }

  /** Has the line of this class not been empty for an interval? */
  stands(importance: ImportanceCode, now: number, settings: LineSettings): boolean {
    const line = this.#lines[importance]
    return line.oldest !== null && this.#stands(line, now, settings)
  }

  /** The longest anybody waits now. */
  waitUs(now: number): number {
    let longest = 0
    for (const { oldest } of this.#lines)
      if (oldest !== null) longest = Math.max(longest, now - oldest.sinceUs)
    return longest
  }

  #stands(line: ClassLine<T>, now: number, { intervalUs }: LineSettings): boolean {
    return now - line.emptyUs >= intervalUs
  }

  #boundUs(line: ClassLine<T>, importance: number, now: number, settings: LineSettings): number {
    const { targetUs, intervalUs, patienceUs } = settings
    const bound = this.#stands(line, now, settings) ? targetUs : intervalUs
    return Math.min(patienceUs, importance === Importance.critical ? bound * criticalPatience : bound)
  }
}

/**
 * Waits are judged beside the latency itself: where an answer takes a second, a wait of 20 ms is nothing.
 * @param baselineUs latency without a queue; 0 = unknown
 */
export function lineSettings(settings: LineSettings, baselineUs: number): LineSettings {
  return {
    targetUs: Math.max(settings.targetUs, baselineUs / 2),
    intervalUs: Math.max(settings.intervalUs, baselineUs * 2),
    patienceUs: settings.patienceUs,
  }
}
