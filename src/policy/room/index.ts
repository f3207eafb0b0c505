// What others use of waiting rooms: the room itself, what it is asked, when to ask again.

export * from './contract.ts'
export { estimateMs, nextAskMs } from './estimate.ts'
export { Room, type RoomChange } from './room.ts'
