// By what a canary is known: its route and all that describes it. One that is described otherwise is another canary, and
// begins anew.

import type { CanarySpec, EdgeSnapshot, RouteSpec } from './snapshot.ts'

export function canaryOf({ action }: RouteSpec): CanarySpec | undefined {
  return action.kind === 'proxy' ? action.canary : undefined
}

export function canaryKey(route: RouteSpec): string {
  return `${route.id}\n${JSON.stringify(canaryOf(route))}`
}

export function canaryKeysOf(snapshot: EdgeSnapshot): string[] {
  return snapshot.routes.filter(route => canaryOf(route) !== undefined).map(canaryKey)
}
