// What looks say about a server over time: good, in doubt, dead, hung. Holds the times, decides no step.

import {
  type FailoverSettings,
  type FailoverState,
  newWatch,
  type SeenServer,
  type ServerWatch,
} from './failover-model.ts'

export type Verdict = 'good' | 'doubt' | 'dead' | 'hung' | 'unwritable' | 'unknown'

/** The state with these looks taken in. A gap between two decisions makes everything seen before it void. */
export function watched(
  nowUs: number,
  seen: readonly SeenServer[],
  state: FailoverState,
  settings: FailoverSettings,
): FailoverState {
  const slept = state.lastUs !== null && nowUs - state.lastUs > settings.gapMs * 1_000
  const watch: Record<string, ServerWatch> = { ...state.watch }
  for (const one of seen) {
    const before = state.watch[one.id] ?? newWatch
    const from = slept ? { ...before, badSinceUs: null, badLooks: 0, looseSinceUs: null } : before
    watch[one.id] = afterLook(one, from, slept ? nowUs : 0, one.id === state.journal.primary)
  }
  return { ...state, watch, lastUs: nowUs }
}

/** @param voidUs looks that began earlier say nothing, but for a process that has ended */
function afterLook(one: SeenServer, watch: ServerWatch, voidUs: number, primary: boolean): ServerWatch {
  if (one.endedUs === watch.lookUs) return watch
  const next = { ...watch, lookUs: one.endedUs, lsn: one.answers ? one.lsn : watch.lsn }
  const kind = badKind(one, primary)
  if (kind === 'dead') return badLook(next, one, kind)
  if (one.beganUs < voidUs) return next
  if (kind !== null) return badLook(next, one, kind)
  const loose = !primary && one.streamsFrom === null
  return {
    ...next,
    badSinceUs: null,
    badLooks: 0,
    badKind: null,
    problem: '',
    looseSinceUs: loose ? (watch.looseSinceUs ?? one.beganUs) : null,
    // It is as it should be: what was tried before has worked.
    repairs: loose ? watch.repairs : 0,
  }
}

function badLook(watch: ServerWatch, one: SeenServer, kind: 'dead' | 'silent' | 'unwritable'): ServerWatch {
  const problem = one.problem === '' ? words[kind] : one.problem
  const badSinceUs = watch.badSinceUs ?? one.beganUs
  return { ...watch, badSinceUs, badLooks: watch.badLooks + 1, badKind: kind, problem }
}

const words = { dead: 'its process ended', silent: 'does not answer', unwritable: 'cannot write' }

function badKind(one: SeenServer, primary: boolean): 'dead' | 'silent' | 'unwritable' | null {
  if (one.processAlive === false) return 'dead'
  if (!one.answers) return 'silent'
  return primary && (one.inRecovery || !one.writes) ? 'unwritable' : null
}

/** Two bad looks at least, and for long enough; an ended process needs one. */
export function verdictOf(
  nowUs: number,
  id: string,
  state: FailoverState,
  settings: FailoverSettings,
  limitMs: number = settings.detectMs,
): Verdict {
  const watch = state.watch[id]
  if (watch === undefined || watch.lookUs < 0) return 'unknown'
  if (watch.badSinceUs === null) return 'good'
  if (watch.badKind === 'dead') return 'dead'
  if (watch.badLooks < 2 || nowUs - watch.badSinceUs < limitMs * 1_000) return 'doubt'
  return watch.badKind === 'unwritable' ? 'unwritable' : 'hung'
}

export function repairDue(nowUs: number, id: string, state: FailoverState): boolean {
  return nowUs >= (state.watch[id]?.repairAtUs ?? 0)
}

/** The pause doubles with each repair until a look shows that the server is as it should be. */
export function afterRepair(
  nowUs: number,
  id: string,
  worked: boolean,
  state: FailoverState,
  settings: FailoverSettings,
): FailoverState {
  const watch = state.watch[id] ?? newWatch
  const repairs = watch.repairs + 1
  const pauseMs = Math.min(settings.repairPauseMaxMs, settings.repairPauseMs * 2 ** Math.min(20, repairs - 1))
  const repairAtUs = nowUs + pauseMs * 1_000
  // What was seen before it was repaired says nothing about it now.
  const seen = worked ? { ...watch, badSinceUs: null, badLooks: 0, looseSinceUs: null } : watch
  return { ...state, watch: { ...state.watch, [id]: { ...seen, repairs, repairAtUs } } }
}
