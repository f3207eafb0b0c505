// How the built-in rules are written down: one call a rule, which gives SecLang as any rule file has it. Patterns have no
// double quotes (`\x22`), no look-around and no back-references: each is decided by an automaton in linear time.

export interface BuiltinRule {
  /** 9000000 and up: no other rule set has these. */
  readonly id: number
  readonly message: string
  /** Behind `attack-`; what `exclude` may name as `tag:attack-sqli`. */
  readonly tag: string
  readonly targets: string
  /** Without `t:`. */
  readonly transformations: readonly string[]
  /** `@rx ...` or another operator; no double quotes. */
  readonly operator: string
  /** What the same value must match too, in lower case. */
  readonly also?: string
  /** 5 refuses at the default threshold, 3 only together with another. */
  readonly score: 3 | 5
  /** 2 unless said; 3 is the answer's head, 4 its body. */
  readonly phase?: 1 | 2 | 3 | 4
}

/** Alternatives, one a line. */
export function anyOf(...patterns: readonly string[]): string {
  return `@rx (?:${patterns.join('|')})`
}

export function written(rule: BuiltinRule): string {
  const { id, message, tag, targets, transformations, operator, also, score, phase = 2 } = rule
  if (`${operator}${also ?? ''}`.includes('"'))
    throw new Error(`rule ${id} has a double quote in its pattern`)
  const direction = phase > 2 ? 'outbound' : 'inbound'
  const steps = ['none', ...transformations].map(name => `t:${name}`).join(',')
  const actions = [
    `id:${id}`,
    `phase:${phase}`,
    'block',
    'capture',
    steps,
    `msg:'${message}'`,
    `severity:'${score === 5 ? 'CRITICAL' : 'WARNING'}'`,
    `tag:'attack-${tag}'`,
  ]
  const scored = `setvar:'tx.${direction}_anomaly_score_pl1=+${score}'`
  const first = `SecRule ${targets} "${operator}" "${actions.join(',')}`
  if (also === undefined) return `${first},${scored}"`
  return `${first},chain"\n  SecRule MATCHED_VAR "${also}" "t:none,t:lowercase,${scored}"`
}

const values = 'ARGS|ARGS_NAMES|XML:/*|XML://@*'
/** Whatever an application reads. */
export const inputs: string = `${values}|REQUEST_COOKIES|REQUEST_FILENAME`
export const inputsAndHeaders: string = `${inputs}|REQUEST_HEADERS:User-Agent|REQUEST_HEADERS:Referer`
export const names = 'ARGS_NAMES'
export const everyHeader = 'REQUEST_HEADERS|!REQUEST_HEADERS:Cookie'

/** Twice more than the request's own decoding: three layers in all; full-width letters become plain ones. */
const decoded = ['utf8toUnicode', 'urlDecodeUni', 'urlDecodeUni']
export const plain: readonly string[] = [...decoded, 'removeNulls', 'lowercase', 'compressWhitespace']
export const sql: readonly string[] = [
  ...decoded,
  'removeNulls',
  'replaceComments',
  'lowercase',
  'compressWhitespace',
]
export const page: readonly string[] = [
  ...decoded,
  'htmlEntityDecode',
  'jsDecode',
  'cssDecode',
  'removeNulls',
  'lowercase',
  'compressWhitespace',
]
export const entities: readonly string[] = [
  ...decoded,
  'htmlEntityDecode',
  'removeNulls',
  'lowercase',
  'compressWhitespace',
]
export const shell: readonly string[] = [...decoded, 'removeNulls', 'lowercase']
export const path: readonly string[] = [...decoded, 'urlDecodeUni', 'removeNulls', 'lowercase']
