// What a sale rests on beyond single keys: no way past a room or a quota to the same instances, holds that last as long as
// an order may take, bans that do not grow shorter.

import type { CheckedRoute, CheckedSystem } from './checked.ts'
import type { CheckedGuard } from './checked-guard.ts'
import type { Findings } from './cross-checks.ts'
import { fileFailures } from './failures.ts'
import { keyPath } from './plain.ts'
import { durationText } from './values.ts'

export function checkDrop(system: CheckedSystem, guard: CheckedGuard, found: Findings): void {
  checkBanSteps(guard, found)
  checkWaysPast(system, guard, found)
  checkHolds(system, guard, found)
}

function checkBanSteps({ banStepsMs }: CheckedGuard, found: Findings): void {
  const at = banStepsMs.findIndex((ms, index) => index > 0 && ms < (banStepsMs[index - 1] as number))
  if (at < 0) return
  found.problems.push({
    code: fileFailures.conflict.code,
    path: `guard.banSteps[${at}]`,
    message: `is shorter than the one before: who goes on would be banned for less`,
    remedy: 'Write the short ones first.',
  })
}

const upstreamsOf = ({ action }: CheckedRoute): readonly string[] =>
  action.kind === 'proxy' ? [action.upstream, ...(action.split ?? []).map(({ upstream }) => upstream)] : []

function checkWaysPast({ edge }: CheckedSystem, { policies }: CheckedGuard, found: Findings): void {
  const sells = (route: CheckedRoute): string | undefined => {
    const policy = route.guard === undefined ? undefined : policies[route.guard]
    if (policy === undefined) return undefined
    return policy.room !== undefined ? `room '${policy.room}'` : policy.quota && `quota '${policy.quota}'`
  }
  for (const [index, route] of edge.routes.entries()) {
    if (route.guard !== undefined || !route.match.path.endsWith('*')) continue
    const upstreams = upstreamsOf(route)
    const past = edge.routes.find(
      one => sells(one) && upstreamsOf(one).some(name => upstreams.includes(name)),
    )
    if (past === undefined) continue
    found.warnings.push({
      code: fileFailures.doubtful.code,
      path: `edge.routes[${index}]`,
      message: `has no guard, and leads to the same instances as '${past.match.path}' does behind the ${sells(past)}: whatever else sells there can be reached past it`,
      remedy: `Add guard: '${past.guard}' to it, or see that only what the other route matches sells anything.`,
    })
  }
}

function checkHolds(system: CheckedSystem, { policies, quotas }: CheckedGuard, found: Findings): void {
  for (const { name, holdMs } of Object.values(quotas)) {
    const routes = system.edge.routes.filter(
      ({ guard }) => guard !== undefined && policies[guard]?.quota === name,
    )
    const slow = routes
      .flatMap(upstreamsOf)
      .map(upstream => [upstream, system.services[upstream]?.upstream.responseTimeoutMs ?? 0] as const)
      .find(([, ms]) => ms > holdMs)
    if (slow === undefined) continue
    found.warnings.push({
      code: fileFailures.doubtful.code,
      path: `${keyPath('guard.quotas', name)}.hold`,
      message: `is shorter than an instance of '${slow[0]}' may take to answer (${durationText(slow[1])}): an order whose end nobody heard may go through after it was given to others`,
      remedy: `Write hold: '${durationText(slow[1] * 2)}' or more.`,
    })
  }
}
