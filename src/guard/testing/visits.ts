// A visit as steps get it in unit tests, with as much of a plan as a test asks for.

import { type PlannedStep, RequestVisit, type VisitPlan } from '../request-visit.ts'
import type { FakePassage } from './fake-passage.ts'

export interface VisitSetup extends Partial<Omit<VisitPlan, 'steps'>> {
  readonly steps?: readonly PlannedStep[]
}

export function planOf(setup: VisitSetup = {}): VisitPlan {
  return {
    policy: 'trial',
    route: { id: 'route-1', path: '/*' },
    steps: [],
    identity: { account: [], session: [], key: [] },
    ipv6PrefixBits: 64,
    nameKey: Buffer.alloc(32, 7),
    hooks: { country: null, asn: null },
    isAllowed: () => false,
    ban: () => {},
    ended: () => {},
    ...setup,
  }
}

/** The request's visit, as the edge would carry it. */
export function visitFor(passage: FakePassage, setup: VisitSetup = {}): RequestVisit {
  const visit = new RequestVisit(planOf(setup), passage)
  passage.visit = visit
  return visit
}
