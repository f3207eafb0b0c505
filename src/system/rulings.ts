// Bans and allowances that operators have given by command. Owns STATE/guard/rulings.json, so that they last over restarts
// until their time is over or they are taken back. Bans by rules are the edge's (guard/rulings/rule-bans.ts).

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { guardFailures } from '../guard/failures.ts'
import type { GuardRuling } from '../guard/part.ts'
import { addressText } from '../kit/address.ts'
import { Failure } from '../kit/failure.ts'
import { parseBlock } from '../policy/address.ts'
import { writePrivate } from './private-file.ts'

/** A snapshot holds them all. */
export const rulingsMax = 10_000

export interface RulingWish {
  readonly kind: GuardRuling['kind']
  readonly block: string
  /** Absent: until it is taken back. */
  readonly forMs?: number | undefined
  readonly reason?: string | undefined
}

export interface Rulings {
  /** Those whose time is not over. */
  readonly current: readonly GuardRuling[]
  /** Takes the place of what was said of the same block. Throws GUARD_RULING_INVALID, GUARD_RULINGS_FULL. */
  give(wish: RulingWish): GuardRuling
  /** Of exactly this block; false: nothing was said of it. */
  takeBack(block: string): boolean
}

export function openRulings(stateDirectory: string, nowMs: () => number = Date.now): Rulings {
  const file = join(stateDirectory, 'guard', 'rulings.json')
  let all = readKept(file)
  const inForce = (): GuardRuling[] => all.filter(({ untilMs }) => untilMs === 0 || untilMs > nowMs())
  const keep = (next: GuardRuling[]): void => {
    writePrivate(file, `${JSON.stringify(next)}\n`)
    all = next
  }
  return {
    get current() {
      return inForce()
    },
    give: wish => {
      const block = blockText(wish.block)
      const others = inForce().filter(one => one.block !== block)
      if (others.length >= rulingsMax)
        throw new Failure(guardFailures.rulingsFull, `There are ${rulingsMax} bans and allowances already.`)
      const given = rulingOf({ ...wish, block }, nowMs())
      keep([...others, given])
      return given
    },
    takeBack: text => {
      const block = blockText(text)
      const others = inForce().filter(one => one.block !== block)
      if (others.length === inForce().length) return false
      keep(others)
      return true
    },
  }
}

function rulingOf({ kind, block, forMs, reason }: RulingWish, nowMs: number): GuardRuling {
  if (forMs !== undefined && !(forMs > 0))
    throw new Failure(guardFailures.rulingInvalid, `'${forMs}' ms is no time that a ruling can last.`)
  return {
    kind,
    block,
    untilMs: forMs === undefined ? 0 : nowMs + forMs,
    reason: reason ?? 'asked for by an operator',
    by: 'operator',
  }
}

/** One spelling of a block: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`. */
export function blockText(text: string): string {
  const block = parseBlock(text)
  if (block === null)
    throw new Failure(guardFailures.rulingInvalid, `'${text}' is neither an address nor a CIDR block.`)
  const { bytes, bits } = block
  for (let at = 0; at < 16; at++) {
    const left = Math.max(0, Math.min(8, bits - at * 8))
    bytes[at] = (bytes[at] as number) & (255 << (8 - left)) & 255
  }
  // `::ffff:192.0.2.0/120` is 192.0.2.0/24.
  const address = addressText(bytes)
  if (bits === 128) return address
  return `${address}/${address.includes(':') ? bits : bits - 96}`
}

function readKept(file: string): GuardRuling[] {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as GuardRuling[]
    return kept.filter(one => parseBlock(one.block) !== null && Number.isFinite(one.untilMs))
  } catch {
    return []
  }
}
