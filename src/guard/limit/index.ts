// The limits' two halves, as the guard loads them, and the cells that whoever measures load writes.

import type { GuardPart, GuardSurroundings, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { LimitMainPart } from './main-part.ts'
import { LimitPart } from './part.ts'

export { LoadCells, limitMemory } from './memory.ts'

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new LimitPart(surroundings)
}

export function createMainPart(surroundings: MainPartSurroundings): MainGuardPart {
  return new LimitMainPart(surroundings)
}
