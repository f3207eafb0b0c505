// Bots: a risk score with reasons, verified crawlers, graded answers. What the guard and its other parts may use.

import type { GuardPart, GuardSurroundings, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { createMainBots } from './main-part.ts'
import { BotsPart } from './part.ts'

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new BotsPart(surroundings)
}

export function createMainPart(surroundings: MainPartSurroundings): MainGuardPart {
  return createMainBots(surroundings)
}
