// A price file: what machines, storage and traffic cost, dated, in one currency. Checks what a person wrote; reads no file.

export const priceNames = [
  'vcpuHour',
  'memoryGbHour',
  'diskGbMonth',
  'objectGbMonth',
  'egressGb',
  'objectMillionWrites',
  'objectMillionReads',
] as const
export type PriceName = (typeof priceNames)[number]

export interface Prices {
  /** Day on which they were looked up: `2026-11-01`. */
  readonly date: string
  /** Three letters: `USD`. */
  readonly currency: string
  readonly about: string
  readonly prices: Readonly<Record<PriceName, number>>
}

const priceMax = 1e9

/** @returns the prices, or a sentence that names the key that is wrong */
export function pricesOf(value: unknown): Prices | { readonly why: string } {
  if (!isRecord(value)) return { why: 'is no JSON object' }
  const unknown = Object.keys(value).find(key => !['date', 'currency', 'about', 'prices'].includes(key))
  if (unknown !== undefined)
    return { why: `has the unknown key '${unknown}'; known are date, currency, about and prices` }
  const { date, currency, about = '', prices } = value
  if (typeof date !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(date))
    return { why: "has no 'date' such as '2026-11-01'" }
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency))
    return { why: "has no 'currency' of three capital letters, such as 'USD'" }
  if (typeof about !== 'string' || about.length > 2000) return { why: "has an 'about' that is no text" }
  if (!isRecord(prices)) return { why: "has no object 'prices'" }
  for (const key of Object.keys(prices))
    if (!(priceNames as readonly string[]).includes(key))
      return { why: `has the unknown price '${key}'; known are ${priceNames.join(', ')}` }
  for (const name of priceNames) {
    const price = prices[name]
    if (price === undefined) return { why: `lacks prices.${name}` }
    if (typeof price !== 'number' || !(price >= 0 && price <= priceMax))
      return {
        why: `has prices.${name} = ${JSON.stringify(price)}; it must be a number from 0 to ${priceMax}`,
      }
  }
  return { date, currency, about, prices: prices as Record<PriceName, number> }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
