// Which of an operator's languages a request gets, by Accept-Language (RFC 4647 3.4, lookup), and which kind of device it
// comes from, by its User-Agent. For keys: a few classes in place of thousands of texts.

import { listMembers } from './scan.ts'

const rangesMax = 32

/** The best of `offered`; the first where none fits. */
export function languageOf(field: string | undefined, offered: readonly string[]): string {
  const ranges = listMembers((field ?? '').toLowerCase(), rangesMax).map(rangeOf)
  ranges.sort((one, other) => other.weight - one.weight)
  for (const { range, weight } of ranges) {
    const found = weight > 0 ? matchOf(range, offered) : undefined
    if (found !== undefined) return found
  }
  return offered[0] ?? ''
}

function rangeOf(member: string): { range: string; weight: number } {
  const [range = '', ...parameters] = member.split(';').map(part => part.trim())
  const q = parameters.find(one => one.startsWith('q='))
  const weight = q === undefined ? 1 : Number(q.slice(2))
  return { range, weight: weight >= 0 && weight <= 1 ? weight : 0 }
}

/** The range itself, or cut at its hyphens from the end; else an offered variety of it (`en-GB` for `en`). `*` says nothing. */
function matchOf(range: string, offered: readonly string[]): string | undefined {
  for (let cut = range; cut !== '' && cut !== '*'; cut = cut.slice(0, Math.max(0, cut.lastIndexOf('-')))) {
    const same = offered.find(one => one.toLowerCase() === cut)
    const variety = same ?? offered.find(one => one.toLowerCase().startsWith(`${cut}-`))
    if (variety !== undefined) return variety
  }
  return undefined
}

export type Device = 'mobile' | 'tablet' | 'desktop'

/** By what browsers say of themselves; crawlers and unknown ones are desktops. */
export function deviceOf(userAgent: string | undefined, mobileHint: string | undefined): Device {
  const agent = (userAgent ?? '').slice(0, 512).toLowerCase()
  if (
    agent.includes('ipad') ||
    agent.includes('tablet') ||
    agent.includes('kindle') ||
    agent.includes('silk/')
  ) {
    return 'tablet'
  }
  if (agent.includes('android') && !agent.includes('mobile')) return mobileHint === '?1' ? 'mobile' : 'tablet'
  if (mobileHint === '?1') return 'mobile'
  return agent.includes('mobi') || agent.includes('iphone') || agent.includes('ipod') ? 'mobile' : 'desktop'
}
