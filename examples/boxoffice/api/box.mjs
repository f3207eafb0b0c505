// The box office: seats and orders. Two orders never get the same seat, because (film, screening, seat) is a primary key
// and an order takes all of its seats in one transaction or none. Any number of instances sells the same film. Each statement
// says which film it is about, so that a database whose films are on several shards asks one of them.

import { randomUUID } from 'node:crypto'
import { Refusal } from './database.mjs'

const rows = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H']
const seatsPerRow = 12
const seatsPerOrder = 8
const allSeats = rows.flatMap(row => Array.from({ length: seatsPerRow }, (_, index) => `${row}${index + 1}`))
const place = new Map(allSeats.map((seat, index) => [seat, index]))

const screeningColumns = 'id, day::text AS date, starts AS time, hall, cents'
const isElsewhere = (elsewhere, seat) => elsewhere[place.get(seat)] === '1'
const noScreening = () => new Refusal(404, 'NO_SCREENING', 'There is no such screening.')
const seatTaken = seats => new Refusal(409, 'SEAT_TAKEN', `Just sold to somebody else: ${seats.join(', ')}.`)

const keyUsed = () =>
  new Refusal(409, 'KEY_USED', 'This key belongs to an order for another screening: choose a new one.')

/** In one order everywhere: two orders that want the same seats wait for each other, and never in a circle. */
function wantedSeats(seats) {
  const wanted = [...new Set(seats)]
  if (wanted.length === 0) throw new Refusal(400, 'NO_SEATS', 'Choose at least one seat.')
  if (wanted.length > seatsPerOrder) {
    throw new Refusal(400, 'TOO_MANY_SEATS', `At most ${seatsPerOrder} seats an order.`)
  }
  const unknown = wanted.find(seat => !place.has(seat))
  if (unknown) throw new Refusal(400, 'UNKNOWN_SEAT', `There is no seat ${unknown}.`)
  return wanted.sort((a, b) => place.get(a) - place.get(b))
}

const orderText = `
SELECT orders.id, orders.film, orders.name, orders.email, orders.cents,
  jsonb_build_object('id', screenings.id, 'date', day, 'time', starts, 'hall', hall, 'cents', screenings.cents) AS screening,
  ARRAY(SELECT seat FROM sold_seats WHERE film = $1 AND order_id = orders.id) AS seats
FROM orders JOIN screenings ON screenings.film = orders.film AND screenings.id = orders.screening
WHERE orders.film = $1 AND orders.id = $2`

function orderOf(row) {
  return row && { ...row, seats: row.seats.sort((a, b) => place.get(a) - place.get(b)) }
}

/** Inserts what is not there yet; false: an order with this id is there, so it was sent before. */
async function insertOrder(client, order) {
  const { rowCount } = await client.query(
    `INSERT INTO orders (id, film, screening, name, email, cents) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING`,
    [order.id, order.film, order.screening, order.name, order.email, order.cents],
  )
  return rowCount === 1
}

/** Waits for orders under way that want one of these seats; the seats that were still free are ours after it. */
async function takeSeats(client, { id, film, screening, seats }) {
  const taken = await client.query(
    `INSERT INTO sold_seats (film, screening, seat, order_id)
     SELECT $1, $2, seat, $3 FROM unnest($4::text[]) WITH ORDINALITY AS wanted (seat, number) ORDER BY number
     ON CONFLICT (film, screening, seat) DO NOTHING RETURNING seat`,
    [film, screening, id, seats],
  )
  const ours = new Set(taken.rows.map(row => row.seat))
  if (ours.size < seats.length) throw seatTaken(seats.filter(seat => !ours.has(seat)))
}

export function createBox(database) {
  async function sell(client, request) {
    const found = await client.query(
      `SELECT ${screeningColumns}, elsewhere::text AS elsewhere FROM screenings WHERE film = $1 AND id = $2`,
      [request.film, request.screening],
    )
    const [screening] = found.rows
    if (!screening) throw noScreening()
    const cents = request.seats.length * screening.cents
    const fresh = await insertOrder(client, { ...request, cents })
    if (fresh) {
      const gone = request.seats.filter(seat => isElsewhere(screening.elsewhere, seat))
      if (gone.length > 0) throw seatTaken(gone)
      await takeSeats(client, request)
    }
    const stored = await client.query(orderText, [request.film, request.id])
    const order = orderOf(stored.rows[0])
    if (order?.screening.id !== request.screening) throw keyUsed()
    return { order, repeated: !fresh }
  }

  return {
    async screening(film, id) {
      const [found] = await database.rows(
        'screening',
        `SELECT ${screeningColumns}, elsewhere::text AS elsewhere,
           ARRAY(SELECT seat FROM sold_seats WHERE film = $1 AND screening = $2) AS sold
         FROM screenings WHERE film = $1 AND id = $2`,
        [film, id],
      )
      if (!found) throw noScreening()
      const { elsewhere, sold, ...screening } = found
      const ours = new Set(sold)
      const taken = allSeats.filter(seat => ours.has(seat) || isElsewhere(elsewhere, seat))
      return { ...screening, rows, seatsPerRow, seatsPerOrder, taken }
    },
    /**
     * The same `key` twice gives the same order: a client that tries again pays once. We try again ourselves when a
     * COMMIT's answer is lost: the key, the client's or ours, finds the order that was committed after all.
     */
    async order(film, screening, { seats, name, email, key }) {
      const request = { id: key || randomUUID(), film, screening, seats: wantedSeats(seats), name, email }
      return database.transaction(client => sell(client, request))
    },
    async orderOf(film, id) {
      return orderOf((await database.rows('order', orderText, [film, id]))[0])
    },
  }
}
