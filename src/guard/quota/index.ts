// Quotas, as the guard's composition loads them.

import type { GuardPart, GuardSurroundings, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { MainQuotas } from './main.ts'
import { QuotaPart } from './part.ts'

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new QuotaPart(surroundings)
}

export function createMainPart(surroundings: MainPartSurroundings): MainGuardPart {
  return new MainQuotas(surroundings)
}
