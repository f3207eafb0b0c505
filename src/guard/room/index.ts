// Waiting rooms, as the guard's composition loads them.

import type { GuardPart, GuardSurroundings, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { MainRooms } from './main.ts'
import { RoomPart } from './part.ts'

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new RoomPart(surroundings)
}

export function createMainPart(surroundings: MainPartSurroundings): MainGuardPart {
  return new MainRooms(surroundings)
}
