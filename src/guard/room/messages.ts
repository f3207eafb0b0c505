// What the two halves of the rooms say to each other: plain data.

import type { RoomAnswer, RoomAsk } from '../../policy/room/index.ts'
import type { CourierAnswers, CourierAsks } from '../courier.ts'

export interface RoomQuestion {
  readonly room: string
  readonly ask: RoomAsk
}

/** What pages tell of a room beside one's own place. */
export interface RoomInfo {
  readonly room: string
  /** SHA-256 of the seed, hexadecimal; '' without a lottery. */
  readonly commitment: string
  /** Hexadecimal, once the lottery is drawn; '' before. */
  readonly seed: string
}

/** Of everybody in a drawn lottery, in order. */
export interface RoomPlaces {
  readonly kind: 'places'
  readonly room: string
  readonly codes: readonly number[]
}

export type RoomFromWorker = CourierAsks<RoomQuestion> | { readonly kind: 'info' }

export type RoomToWorker =
  | CourierAnswers<RoomAnswer>
  | { readonly kind: 'info'; readonly rooms: readonly RoomInfo[] }
  | RoomPlaces
