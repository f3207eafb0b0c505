// Where a room's places are: in this edge's memory (local-room.ts), or in Redis for several edges (shared-room.ts).

import type { RoomAnswer, RoomAsk, RoomCounts, RoomMode, RoomRules } from '../../policy/room/index.ts'

export interface RoomStore {
  /** In order; when this resolves, what was decided survives the end of this process. Never rejects: `away`. */
  ask(asks: readonly RoomAsk[]): Promise<readonly RoomAnswer[]> | readonly RoomAnswer[]
  setRules(rules: RoomRules): void
  setMode(mode: RoomMode): Promise<void>
  /** False: there is no such place. */
  revoke(id: number): Promise<boolean>
  /** Of a person's code: False: has no place. */
  revokePerson(code: number): Promise<boolean>
  counts(): Promise<RoomCounts>
  /** Which opening its draw belongs to, and whether it has been drawn. */
  readonly edition: number
  readonly drawn: boolean
  /** Codes in the order of the draw. */
  places(): Promise<readonly number[]>
  close(): void
}

export const awayAnswer: RoomAnswer = {
  state: 'away',
  id: 0,
  nonce: 0,
  ahead: -1,
  estimateMs: -1,
  code: 0,
}
