// Is the order of a waiting room's line what its lottery promised? For whoever has what the room publishes; asks nobody.

import { lotteryHashes } from '../guard/room/secrets.ts'
import { type LotteryVerdict, verifyLottery } from '../policy/lottery/lottery.ts'

export interface LotteryCheck {
  readonly verdict: LotteryVerdict
  /** How many were drawn. */
  readonly drawn: number
  /** Place of the code that was asked for, from 1; 0: it was not drawn. */
  readonly place: number
}

/** @param placesText a code a line, as `/lottery/places` gives them. */
export function checkLottery(
  placesText: string,
  commitment: string,
  seed: string,
  code?: string,
): LotteryCheck {
  const codes = placesText.split('\n').flatMap(line => (line.trim() === '' ? [] : [line.trim()]))
  const verdict = verifyLottery(
    { commitment: commitment.toLowerCase(), seed: seed.toLowerCase(), codes },
    lotteryHashes,
  )
  return {
    verdict,
    drawn: codes.length,
    place: code === undefined ? 0 : codes.indexOf(code.toLowerCase()) + 1,
  }
}
