// What `tenfold check` says of a workload and its rehearsals: what comes, and what would be played through. Pure; it
// judges nothing.

import type { CheckedSystem } from '../file/index.ts'

/** Names in one line; the rest is a count. */
const namesMax = 8

/** One line for the workload, one for the rehearsals; none for a system without. */
export function workloadLines({ workload, rehearsals }: CheckedSystem): string[] {
  if (workload === undefined) return []
  const { dailyUsers, actions, peakFactor, calibrated } = workload
  const people = dailyUsers === null ? '' : ` of ${dailyUsers.toLocaleString('en')} people a day`
  const measured = calibrated === null ? 'times not measured here' : `times measured ${calibrated.at}`
  const names = Object.keys(rehearsals)
  return [
    `workload: ${listed(Object.keys(actions))}${people}, peak ${peakFactor} x the mean; ${measured}`,
    ...(names.length === 0 ? [] : [`rehearsals: ${listed(names)}`]),
  ]
}

function listed(names: readonly string[]): string {
  const more = names.length - namesMax
  return `${names.slice(0, namesMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
