// The premiere's house: numbered seats of one showing, the best that are free for each order. A seat is a row with room for
// one order, so none is sold twice, whatever stands before us. How many each buyer may have is the guard's to see to.

import { Refusal } from '../api/database.mjs'

const seatsPerRow = 25
export const seatsPerOrder = 4
export const cents = 4_500

/** A1 to A25, B1, ... */
export function seatName(seat) {
  const row = Math.floor((seat - 1) / seatsPerRow)
  return `${String.fromCharCode(65 + row)}${((seat - 1) % seatsPerRow) + 1}`
}

const soldOut = () => new Refusal(409, 'SOLD_OUT', 'There are not so many seats left.')
const keyUsed = () => new Refusal(409, 'KEY_USED', 'This key belongs to an order of somebody else.')

/** Locked seats are another order's, which commits in a moment: stepped over, nobody waits for anybody. */
const take = `
UPDATE premiere_seats SET order_id = $1 WHERE seat IN (
  SELECT seat FROM premiere_seats WHERE order_id IS NULL ORDER BY seat LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING seat`

const orderText = `
SELECT id, account, name, cents,
  ARRAY(SELECT seat FROM premiere_seats WHERE order_id = premiere_orders.id ORDER BY seat) AS seats
FROM premiere_orders WHERE id = $1`

export function createHouse(database) {
  async function sell(client, { id, account, name, seats }) {
    const inserted = await client.query(
      'INSERT INTO premiere_orders (id, account, name, cents) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING',
      [id, account, name, seats * cents],
    )
    if (inserted.rowCount === 1) {
      const taken = await client.query(take, [id, seats])
      if (taken.rowCount < seats) throw soldOut()
    }
    const { rows } = await client.query(orderText, [id])
    if (rows[0].account !== account) throw keyUsed()
    return { order: rows[0], repeated: inserted.rowCount === 0 }
  }

  return {
    /** Rows for so many seats; those that are there stay as they are. */
    prepare: seats =>
      database.transaction(client =>
        client.query(
          'INSERT INTO premiere_seats SELECT generate_series(1, $1::int), NULL ON CONFLICT DO NOTHING',
          [seats],
        ),
      ),
    async free() {
      const text = 'SELECT count(*)::int AS free FROM premiere_seats WHERE order_id IS NULL'
      return (await database.rows('premiere-free', text))[0].free
    },
    /** The same `id` twice is the same order: who tries again pays once. */
    order: request => database.transaction(client => sell(client, request)),
    async orderOf(id) {
      return (await database.rows('premiere-order', orderText, [id]))[0]
    },
  }
}
