// The key `faults` of a rehearsal: what goes wrong, when and for how long. Whom a fault meets stays as written here
// (`web-1`, `database:main`): rehearsal-targets.ts finds it among the parts of the file.

import type { CheckedFaultKind } from './checked-rehearsals.ts'
import { fineTime } from './load-values.ts'
import { share } from './observe.ts'
import { into, listOf, strict } from './shapes.ts'
import { decimal, duration, Refused, type Schema, text, whole } from './values.ts'

export const faultsMax = 200
const cutMax = 50

/** Keys that say what goes wrong, and what else each of them needs. */
const needs = {
  kill: [],
  hang: [],
  slow: ['times'],
  fail: ['share'],
  disk: ['times'],
  zone: [],
  cut: ['from'],
  delay: ['by'],
  lag: ['by'],
  empty: [],
  surge: [],
} as const satisfies Record<CheckedFaultKind['kind'], readonly ('times' | 'share' | 'by' | 'from')[]>

const kinds = Object.keys(needs) as (keyof typeof needs)[]
const details = ['times', 'share', 'by', 'from'] as const

const target = (about: string): Schema<string> =>
  text(about, "a part such as 'web', 'web-1', 'main-2', 'edge-1' or 'database:main'", {
    pattern: /^(?:service:|database:)?[a-z][a-z0-9-]*(?::[1-9]\d{0,4})?$/,
    lengthMax: 60,
  })

const faultKeys = {
  at: duration('When, from the end of the warm-up on.', '0ms', '365d'),
  for: duration(
    'How long. Left out: until the end, or until it is started again by whoever does that.',
    '1ms',
    '365d',
  ).optional(),
  kill: target(
    'Dies: an instance, a server, an edge, or all of a service. It comes back as it would.',
  ).optional(),
  hang: target('Takes requests and answers none.').optional(),
  slow: target('Works `times` as long.').optional(),
  fail: target('Answers a `share` of its requests with errors.').optional(),
  disk: target('A server of a database whose disk takes `times` as long.').optional(),
  zone: whole('A zone that is away, with all that is in it.', 1, 20).optional(),
  cut: listOf(
    'Parts that can not hear those of `from`, nor be heard by them.',
    target('One part.'),
    cutMax,
    1,
  ).optional(),
  delay: target('Messages to and from it take longer `by` so much.').optional(),
  lag: target('A replica that replays nothing newer than `by` ago.').optional(),
  empty: text('A cache that forgets everything: `edge`, or one of `caches`.', 'the name of a cache', {
    lengthMax: 40,
  }).optional(),
  surge: decimal('So many times the requests.', 0.001, 100_000).optional(),
  times: decimal('Of `slow` and `disk`: how many times as long.', 1, 1_000_000).optional(),
  share: share('Of `fail`: share of the requests.').optional(),
  by: fineTime('Of `delay` and `lag`: how much.', '1us', '24h').optional(),
  from: listOf('Of `cut`: the other side.', target('One part.'), cutMax, 1).optional(),
}

type FaultKeys = ReturnType<ReturnType<typeof strict<typeof faultKeys>>['parse']>

/** A fault whose targets are still texts. */
export interface ParsedFault {
  readonly atMs: number
  readonly forMs: number | null
  readonly kind: CheckedFaultKind['kind']
  /** As written; of `cut` one side. Empty of what has none. */
  readonly targets: readonly string[]
  /** Of `cut`. */
  readonly from: readonly string[]
  /** `times`, `share`, `by` in milliseconds, or the number of the zone. */
  readonly amount: number
}

const fault: Schema<ParsedFault> = into(
  strict(faultKeys, {
    about: 'One fault.',
    elsewhere: {
      until: "Write how long: for: '30s'.",
      duration: "Did you mean 'for'?",
      stop: "Did you mean 'kill' or 'hang'?",
      crash: "Did you mean 'kill'?",
      partition: "Write cut: ['main-1'], from: ['main-2'].",
      latency: "Write delay: 'api', by: '50ms'.",
      errors: "Write fail: 'api', share: '30%'.",
    },
  }),
  (keys): ParsedFault | Refused => {
    const said = kinds.filter(kind => keys[kind] !== undefined)
    const [kind] = said
    if (kind === undefined)
      return new Refused('says nothing that goes wrong', `Write one of ${kinds.join(', ')}.`)
    if (said.length > 1)
      return new Refused(`says several things: ${said.join(', ')}`, 'Write a fault for each.')
    return wrongDetail(keys, kind) ?? faultOf(keys, kind)
  },
)

function wrongDetail(keys: FaultKeys, kind: (typeof kinds)[number]): Refused | undefined {
  const wanted: readonly string[] = needs[kind]
  const missing = wanted.find(detail => keys[detail as (typeof details)[number]] === undefined)
  if (missing !== undefined) return new Refused(`says '${kind}' without '${missing}'`, `Say '${missing}'.`)
  const foreign = details.find(detail => keys[detail] !== undefined && !wanted.includes(detail))
  if (foreign !== undefined)
    return new Refused(`says '${foreign}', which '${kind}' has not`, `Leave out '${foreign}'.`)
  if (kind === 'empty' && keys.for !== undefined)
    return new Refused("says 'for', and a cache forgets at once", "Leave out 'for'.")
  return keys.share === 0
    ? new Refused("has a 'share' of 0: nothing would go wrong", 'Leave it out.')
    : undefined
}

function faultOf(keys: FaultKeys, kind: (typeof kinds)[number]): ParsedFault {
  const whom = keys[kind]
  const byMs = keys.by === undefined ? undefined : keys.by / 1000
  return {
    atMs: keys.at,
    forMs: keys.for ?? null,
    kind,
    targets: typeof whom === 'number' ? [] : [whom as string | readonly string[]].flat(),
    from: keys.from ?? [],
    amount: typeof whom === 'number' ? whom : (keys.times ?? keys.share ?? byMs ?? 0),
  }
}

export const faults: Schema<readonly ParsedFault[]> = listOf('What goes wrong.', fault, faultsMax)
