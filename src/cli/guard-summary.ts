// What `tenfold check` says of a guard: which routes ask what, and which let everybody pass. Pure; it judges nothing.

import type { CheckedGuardPolicy, CheckedSystem } from '../file/index.ts'

/** Routes named in one line; the rest is a count. */
const routesMax = 8

/** One line a policy, and one for routes without any; none for a system without a guard. */
export function guardLines({ guard, edge }: CheckedSystem): string[] {
  if (guard === undefined) return []
  const routesOf = (name: string | undefined): string[] =>
    edge.routes.filter(route => route.guard === name).map(route => route.id)
  const policies = Object.values(guard.policies).map(
    policy =>
      `guard ${policy.name}: ${asked(policy).join(', ') || 'nothing'}; ${listed(routesOf(policy.name))}`,
  )
  const open = routesOf(undefined)
  return [...policies, ...(open.length === 0 ? [] : [`no guard: ${listed(open)}`])]
}

function listed(routes: readonly string[]): string {
  if (routes.length === 0) return 'no route'
  const more = routes.length - routesMax
  return `${routes.slice(0, routesMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function asked(policy: CheckedGuardPolicy): string[] {
  const { limits, waf, uploads, risk, challenge, shed, room, quota, headers, sameSite, detectOnly } = policy
  const parts: readonly (readonly [string, string | false | undefined])[] = [
    ['limit', limits.length > 0 && `limit ${limits.map(one => one.name).join(' + ')}`],
    ['sameSite', sameSite && 'sameSite'],
    ['bots', risk && 'risk'],
    ['shed', shed && `shed ${shed}`],
    ['challenge', challenge && `challenge ${challenge}`],
    ['waf', (waf || uploads) && [waf && `waf ${waf.mode}`, uploads && 'uploads'].filter(Boolean).join(', ')],
    ['room', room && `room ${room}`],
    ['quota', quota && `quota ${quota}`],
    ['', headers && 'headers'],
  ]
  return parts.flatMap(([name, text]) =>
    text ? [detectOnly.some(one => one === name) ? `${text} (only recorded)` : text] : [],
  )
}
