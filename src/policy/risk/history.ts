// What is remembered of clients, in rows of 27 numbers over plain or shared memory: how often and how evenly they ask,
// whether they return cookies, what they were caught at. Bounded: a set of eight rows takes a new client in place of the one
// that was silent longest, first of all one that was hardly there. Holds hashes only, never an address or a name.
//
// Times are milliseconds of one monotonic clock modulo 2^32; differences are right for 49 days. Rows are written by
// several threads without locks: the last writer wins, and a lost count changes no decision that is not one of degree.

import { riskBit } from './reasons.ts'

const columns = 27
const ways = 8
/** Rows that a table has by default: 128 K clients in 14 MB. */
export const historyRows = 131_072

const at = {
  keyLow: 0,
  keyHigh: 1,
  first: 2,
  last: 3,
  minute: 4,
  count: 5,
  before: 6,
  page: 7,
  pages: 8,
  gap: 9,
  deviation: 10,
  requests: 11,
  cookieSeen: 12,
  cookiesGiven: 13,
  cookieless: 14,
  trap: 15,
  traps: 16,
  field: 17,
  failed: 18,
  failedAt: 19,
  passed: 20,
  passedAt: 21,
  peersLow: 22,
  peersHigh: 23,
  peersFrom: 24,
  asked: 25,
  askedAt: 26,
} as const

const minuteMs = 60_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** People who click fast, with what their pages load: some pages of 30 pieces a minute. */
const highRate = 300
const veryHighRate = 1_200
/** A clock's gaps differ by less than this share. */
const evenShare = 0.03
const evenPages = 12
const evenGapMinMs = 400
const failedFrom = 3
const passedFrom = 8
/** A page that stays open asks again and again; who solves one in between begins anew. */
const askedFrom = 20
const askedGapMs = 1_000
/** Of all clients of a network. */
const networkPassedFrom = 300
const cookielessFrom = 12
/** Of 64 places that are hashed to: some 36 accounts, 9 addresses. */
const manyAccounts = 28
const manyAddresses = 9
/** A row is established, and answers for itself, when it was there this long and asked this often. */
const establishedMs = 10_000
const establishedRequests = 3

/** One thing that a client was caught at, or has done. */
export const deed = { trap: 0, field: 1, failedChallenge: 2, passedChallenge: 3, askedChallenge: 4 } as const

export class ClientHistory {
  readonly #cells: Int32Array
  readonly #sets: number

  /** @param memory `historyBytes(rows)` long, zeroed or written by another thread. */
  constructor(memory: ArrayBufferLike) {
    this.#cells = new Int32Array(memory)
    this.#sets = Math.floor(this.#cells.length / (columns * ways))
  }

  /** The client's row; a new one where there is none. `now` in milliseconds. */
  row(low: number, high: number, now: number): number {
    const cells = this.#cells
    const from = ((low >>> 0) % this.#sets) * ways * columns
    let oldest = from
    let oldestFor = -1
    for (let row = from; row < from + ways * columns; row += columns) {
      if (cells[row + at.keyLow] === low && cells[row + at.keyHigh] === high) return row
      const free = cells[row + at.keyLow] === 0 && cells[row + at.keyHigh] === 0
      const silentFor = free ? 3 * 2 ** 32 : this.#dispensable(row, now)
      if (silentFor > oldestFor) {
        oldest = row
        oldestFor = silentFor
      }
    }
    return this.#begin(oldest, low, high, now)
  }

  /**
   * The greater, the sooner another one takes its place: silence in milliseconds; of those that were there lately, ones that
   * asked a few times and did nothing go first. So a flood of new clients pushes out itself, not who is known.
   */
  #dispensable(row: number, now: number): number {
    const cells = this.#cells
    const silentFor = since(cells[row + at.last]!, now)
    const known =
      cells[row + at.requests]! >= establishedRequests ||
      cells[row + at.traps]! + cells[row + at.field]! + cells[row + at.failed]! + cells[row + at.passed]! !==
        0
    return known && silentFor < hourMs ? silentFor : silentFor + 2 ** 32
  }

  #begin(row: number, low: number, high: number, now: number): number {
    const cells = this.#cells
    cells.fill(0, row, row + columns)
    cells[row + at.keyLow] = low
    cells[row + at.keyHigh] = high
    cells[row + at.first] = cells[row + at.last] = cells[row + at.minute] = now | 0
    return row
  }

  /**
   * Counts one request.
   * @param page It asks for a page, as a click or a reload does; what a page loads or asks for by itself has its own rhythm.
   */
  count(row: number, now: number, page: boolean, hasCookie: boolean): void {
    const cells = this.#cells
    const passed = since(cells[row + at.minute]!, now)
    if (passed >= minuteMs) {
      cells[row + at.before] = passed < 2 * minuteMs ? cells[row + at.count]! : 0
      cells[row + at.count] = 0
      cells[row + at.minute] = now | 0
    }
    cells[row + at.count]!++
    cells[row + at.requests]!++
    cells[row + at.last] = now | 0
    if (hasCookie) cells[row + at.cookieSeen] = 1
    else if (page && cells[row + at.cookiesGiven]! > 0) cells[row + at.cookieless]!++
    if (page) this.#measure(row, now)
  }

  /** Mean and mean deviation of the gaps between pages, each with a weight of 1/8 for the newest (as RFC 6298 does). */
  #measure(row: number, now: number): void {
    const cells = this.#cells
    const gap = Math.min(since(cells[row + at.page]!, now), hourMs)
    const pages = cells[row + at.pages]!
    cells[row + at.page] = now | 0
    cells[row + at.pages] = pages + 1
    if (pages === 0) return
    if (pages === 1) {
      cells[row + at.gap] = gap
      cells[row + at.deviation] = gap >> 1
      return
    }
    const mean = cells[row + at.gap]!
    cells[row + at.deviation] = (cells[row + at.deviation]! * 7 + Math.abs(gap - mean)) >> 3
    cells[row + at.gap] = (mean * 7 + gap) >> 3
  }

  /** An answer gave this client a cookie. */
  cookieGiven(row: number): void {
    if (this.#cells[row + at.cookieSeen] === 0) this.#cells[row + at.cookiesGiven]!++
  }

  /** One of `deed`. */
  did(row: number, what: number, now: number): void {
    const cells = this.#cells
    if (what === deed.trap) {
      cells[row + at.trap] = now | 0
      cells[row + at.traps]!++
    } else if (what === deed.field) cells[row + at.field] = now | 0 || 1
    else if (what === deed.failedChallenge) this.#tally(row, at.failed, at.failedAt, now)
    else if (what === deed.askedChallenge) {
      // What a page loads together is asked once.
      const lately = cells[row + at.asked] !== 0 && since(cells[row + at.askedAt]!, now) < askedGapMs
      if (!lately) this.#tally(row, at.asked, at.askedAt, now)
    } else {
      this.#tally(row, at.passed, at.passedAt, now)
      cells[row + at.asked] = 0
    }
    cells[row + at.last] = now | 0
  }

  /** A count of about the last hour: what was counted before wears off as time passes. */
  #tally(row: number, counter: number, time: number, now: number): void {
    const cells = this.#cells
    cells[row + counter] = this.#lately(row, counter, time, now) + 1
    cells[row + time] = now | 0
  }

  #lately(row: number, counter: number, time: number, now: number): number {
    const passed = since(this.#cells[row + time]!, now)
    return passed >= hourMs ? 0 : Math.ceil((this.#cells[row + counter]! * (hourMs - passed)) / hourMs)
  }

  /** This row was seen together with another one (an account with an address, an address with an account). */
  met(row: number, otherHash: number, now: number): void {
    // Forgotten twice a day: people travel, and households are shared.
    const half = Math.floor((now >>> 0) / (dayMs / 2)) & 0x7fff
    if (this.#cells[row + at.peersFrom] !== half) {
      this.#cells[row + at.peersFrom] = half
      this.#cells[row + at.peersLow] = this.#cells[row + at.peersHigh] = 0
    }
    const bit = otherHash & 63
    if (bit < 32) this.#cells[row + at.peersLow]! |= 1 << bit
    else this.#cells[row + at.peersHigh]! |= 1 << (bit - 32)
  }

  /** It was known before, and more than once: it answers for itself, whoever else has its address. */
  isEstablished(row: number, now: number): boolean {
    const cells = this.#cells
    return (
      cells[row + at.requests]! >= establishedRequests && since(cells[row + at.first]!, now) >= establishedMs
    )
  }

  /** What counts against this row, as bits of `riskBit`. */
  risk(row: number, now: number): number {
    return this.#rateRisk(row, now) | this.#rhythmRisk(row) | this.#deedRisk(row, now)
  }

  /** Requests in about a minute: this one's, and of the one before the share that the last 60 seconds still hold. */
  rate(row: number, now: number): number {
    const cells = this.#cells
    const passed = since(cells[row + at.minute]!, now)
    if (passed >= 2 * minuteMs) return 0
    if (passed >= minuteMs) return (cells[row + at.count]! * (2 * minuteMs - passed)) / minuteMs
    return cells[row + at.count]! + (cells[row + at.before]! * (minuteMs - passed)) / minuteMs
  }

  #rateRisk(row: number, now: number): number {
    const rate = this.rate(row, now)
    if (rate >= veryHighRate) return riskBit['high-rate'] | riskBit['very-high-rate']
    return rate >= highRate ? riskBit['high-rate'] : 0
  }

  #rhythmRisk(row: number): number {
    const cells = this.#cells
    const gap = cells[row + at.gap]!
    const even =
      cells[row + at.pages]! > evenPages &&
      gap >= evenGapMinMs &&
      cells[row + at.deviation]! <= Math.max(4, gap * evenShare)
    const cookieless = cells[row + at.cookieSeen] === 0 && cells[row + at.cookieless]! >= cookielessFrom
    return (even ? riskBit.regular : 0) | (cookieless ? riskBit['no-cookies'] : 0)
  }

  #deedRisk(row: number, now: number): number {
    const cells = this.#cells
    let bits = 0
    if (cells[row + at.traps]! > 0 && since(cells[row + at.trap]!, now) < hourMs) bits |= riskBit.honeypot
    if (cells[row + at.field] !== 0 && since(cells[row + at.field]!, now) < hourMs)
      bits |= riskBit['honeypot-field']
    if (this.#lately(row, at.failed, at.failedAt, now) >= failedFrom) bits |= riskBit['failed-challenges']
    if (this.#lately(row, at.passed, at.passedAt, now) >= passedFrom) bits |= riskBit['many-challenges']
    if (this.#lately(row, at.asked, at.askedAt, now) >= askedFrom) bits |= riskBit['ignored-challenges']
    return bits
  }

  /** Of the row of a network, in which all challenges that were passed from it are counted. */
  networkRisk(row: number, now: number): number {
    return this.#lately(row, at.passed, at.passedAt, now) >= networkPassedFrom ? riskBit['busy-network'] : 0
  }

  #peers(row: number): number {
    return ones(this.#cells[row + at.peersLow]!) + ones(this.#cells[row + at.peersHigh]!)
  }

  /** Of a client's row whose peers are accounts. */
  accountsRisk(row: number): number {
    return this.#peers(row) >= manyAccounts ? riskBit['many-accounts'] : 0
  }

  /** Of an account's row whose peers are addresses. */
  accountRisk(row: number, now: number, knownSince: number): number {
    const many = this.#peers(row) >= manyAddresses ? riskBit['many-addresses'] : 0
    // Where we have not looked for a day ourselves, everybody is new.
    const young =
      since(knownSince, now) > dayMs && since(this.#cells[row + at.first]!, now) < dayMs
        ? riskBit['young-account']
        : 0
    return many | young
  }
}

export function historyBytes(rows: number): number {
  return rows * columns * 4
}

/** Requests are told in the order of their ends: one that began a little before what is remembered is not 49 days later. */
function since(then: number, now: number): number {
  const passed = (now - then) >>> 0
  return passed > 2 ** 32 - 10 * minuteMs ? 0 : passed
}

function ones(word: number): number {
  let count = 0
  for (let left = word; left !== 0; left &= left - 1) count++
  return count
}
