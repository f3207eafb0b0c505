// The rehearsals of a checked system written as a system file has them, every default spelled out.

import type {
  CheckedArrivals,
  CheckedExpectation,
  CheckedFault,
  CheckedFaultKind,
  CheckedRehearsal,
  CheckedTopology,
} from './checked-rehearsals.ts'
import type { SystemInput } from './input.generated.ts'
import { perSecondText, timeText } from './load-values.ts'
import { targetText } from './rehearsal-targets.ts'
import { defined } from './shapes.ts'
import { ms } from './spell-values.ts'

export function spellRehearsals(
  all: Readonly<Record<string, CheckedRehearsal>>,
): NonNullable<SystemInput['rehearsals']> {
  return Object.fromEntries(
    Object.values(all).map(one => [
      one.name,
      defined({
        about: one.about ?? undefined,
        seed: one.seed,
        duration: ms(one.durationMs),
        warmup: ms(one.warmupMs),
        arrivals: spellArrivals(one.arrivals),
        clients: defined({
          patience: one.clients.patienceMs === null ? undefined : ms(one.clients.patienceMs),
          retries: one.clients.retries,
          backoff: ms(one.clients.backoffBaseMs),
          backoffMax: ms(one.clients.backoffMaxMs),
          jitter: one.clients.jitter,
        }),
        edges: one.edges,
        sample: one.sample,
        databases: Object.fromEntries(
          Object.entries(one.databases).map(([name, kept]) => [name, spellTopology(kept)]),
        ),
        faults: one.faults.map(spellFault),
        expect: spellExpectations(one.expect),
      }),
    ]),
  ) as NonNullable<SystemInput['rehearsals']>
}

function spellArrivals({ level, shape }: CheckedArrivals): object {
  return {
    ...(level.kind === 'rate'
      ? { level: perSecondText(level.perSecond) }
      : { level: level.kind, times: level.times }),
    shape: spellShape(shape),
  }
}

function spellShape(shape: CheckedArrivals['shape']): object | string {
  switch (shape.kind) {
    case 'bursty':
      return { bursty: shape.cv2 }
    case 'trace':
      return { trace: shape.file }
    case 'diurnal':
      return { diurnal: { lowest: shape.lowest, peakAt: ms(shape.peakAtMs), startAt: ms(shape.startAtMs) } }
    case 'flash':
      return {
        flash: {
          at: ms(shape.atMs),
          times: shape.times,
          ramp: ms(shape.rampMs),
          hold: ms(shape.holdMs),
          fade: ms(shape.fadeMs),
        },
      }
    default:
      return shape.kind
  }
}

function spellTopology({ kind, writeCopies, readCopies, partition }: CheckedTopology): object {
  return { topology: kind, ...(kind === 'quorum' ? { write: writeCopies, read: readCopies } : {}), partition }
}

function spellFault({ atMs, forMs, what }: CheckedFault): object {
  return defined({ at: ms(atMs), for: forMs === null ? undefined : ms(forMs), ...spellWhat(what) })
}

function spellWhat(what: CheckedFaultKind): object {
  switch (what.kind) {
    case 'zone':
      return { zone: what.zone }
    case 'empty':
      return { empty: what.cache }
    case 'surge':
      return { surge: what.times }
    case 'cut':
      return { cut: what.from.map(targetText), from: what.to.map(targetText) }
    case 'slow':
    case 'disk':
      return { [what.kind]: targetText(what.target), times: what.times }
    case 'fail':
      return { fail: targetText(what.target), share: what.share }
    case 'delay':
    case 'lag':
      return { [what.kind]: targetText(what.target), by: timeText(Math.round(what.byMs * 1e6) / 1000) }
    default:
      return { [what.kind]: targetText(what.target) }
  }
}

/** As they were written: the text of an expectation is part of it. */
function spellExpectations(all: readonly CheckedExpectation[]): Record<string, string[]> {
  const byKey: Record<string, string[]> = {}
  for (const { text } of all) {
    const end = text.indexOf(': ')
    const key = text.slice(0, end)
    byKey[key] = [...(byKey[key] ?? []), text.slice(end + 2)]
  }
  return byKey
}
