// Which content coding an answer gets (RFC 9110 12.5.3): what a client's Accept-Encoding takes, and the best of what is
// offered. Pure; the field is read once and may be remembered by its text.

export type Coding = 'zstd' | 'br' | 'gzip'

/** Weights in thousandths: 0 = refused. */
export interface Acceptance {
  readonly zstd: number
  readonly br: number
  readonly gzip: number
  readonly identity: number
}

/** Without the field anything would be allowed (rule 1); a client that names nothing gets nothing coded. */
const nothingNamed: Acceptance = { zstd: 0, br: 0, gzip: 0, identity: 1000 }
/** Where identity is not named it is acceptable, yet anything that is named is wanted more. */
const identityUnnamed = 1
const elementsMax = 32
const weightForm = /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/

/** `field`: all values of Accept-Encoding, joined by commas. An element with a malformed weight says nothing. */
export function acceptanceOf(field: string | undefined): Acceptance {
  if (field === undefined) return nothingNamed
  const named = new Map<string, number>()
  for (const element of field.toLowerCase().split(',', elementsMax)) {
    const [coding = '', ...parameters] = element.split(';').map(part => part.trim())
    const weight = weightOf(parameters)
    const name = coding === 'x-gzip' ? 'gzip' : coding
    if (name !== '' && weight >= 0) named.set(name, weight)
  }
  const others = named.get('*')
  const of = (coding: Coding): number => named.get(coding) ?? others ?? 0
  return {
    zstd: of('zstd'),
    br: of('br'),
    gzip: of('gzip'),
    identity: named.get('identity') ?? others ?? identityUnnamed,
  }
}

function weightOf(parameters: readonly string[]): number {
  if (parameters.length === 0) return 1000
  const [name, value = ''] = (parameters[0] as string).split('=').map(part => part.trim())
  if (parameters.length > 1 || name !== 'q' || !weightForm.test(value)) return -1
  return Math.round(Number(value) * 1000)
}

/**
 * The best of `offered`, which stand in the order of our own preference; `identity` where the client wants that more or
 * takes none of them; null where it takes nothing at all.
 */
export function bestCoding(accepted: Acceptance, offered: readonly Coding[]): Coding | 'identity' | null {
  let best: Coding | null = null
  let weight = 0
  for (const coding of offered) {
    if (accepted[coding] <= weight) continue
    best = coding
    weight = accepted[coding]
  }
  if (accepted.identity > weight) return 'identity'
  return best
}

/** Is a Content-Type one of `types`, where `text/*` means every subtype? Parameters do not count. */
export function isOfTypes(contentType: string, types: readonly string[]): boolean {
  const end = contentType.indexOf(';')
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
  const slash = type.indexOf('/')
  if (slash <= 0) return false
  return types.includes(type) || types.includes(`${type.slice(0, slash)}/*`) || types.includes('*/*')
}
