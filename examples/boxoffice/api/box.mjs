// The box office itself: screenings, seats and orders, in this process's memory. Two orders never get the same seat,
// because one process owns a film (the balancer sends a film's requests to the same instance) and decides in one step.
// What is in memory is gone when the process ends.

import { createHash, randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'

const rows = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H']
const seatsPerRow = 12
const seatsPerOrder = 8
const days = 5
const times = ['15:00', '17:45', '20:30']
const halls = [
  { name: 'Aurora', cents: 1250 },
  { name: 'Lumière', cents: 1400 },
  { name: 'Orpheum', cents: 1150 },
]
const screeningsMax = 20_000
const ordersMax = 200_000

function hashOf(text) {
  return createHash('sha256').update(text).digest()
}

const allSeats = rows.flatMap(row => Array.from({ length: seatsPerRow }, (_, index) => `${row}${index + 1}`))

/** The same film has the same programme in every process, so any instance can show it. */
export function programmeOf(filmId, today = new Date()) {
  const hash = hashOf(filmId)
  return Array.from({ length: days }, (_, day) => {
    const date = new Date(today.getTime() + day * 86_400_000).toISOString().slice(0, 10)
    const hall = halls[(hash[0] + day) % halls.length]
    return times
      .filter((_, slot) => (hash[1 + day] >> slot) & 1 || slot === 2)
      .map(time => ({
        id: `${date}-${time.replace(':', '')}`,
        date,
        time,
        hall: hall.name,
        cents: hall.cents,
      }))
  }).flat()
}

/** A believable house: some seats were sold elsewhere before we opened, more in the middle. */
function soldBefore(filmId, screeningId) {
  const hash = hashOf(`${filmId}/${screeningId}`)
  const fill = 20 + (hash[31] % 90)
  return allSeats.filter((seat, index) => {
    const middle = Math.abs(Number(seat.slice(1)) - 6.5) < 3 ? 30 : 0
    return (hash[index % 31] * 7 + index * 13) % 256 < fill + middle
  })
}

export function createBox() {
  const taken = new Map()
  const orders = new Map()
  const changes = new EventEmitter().setMaxListeners(0)

  function seatsOf(filmId, screeningId) {
    const key = `${filmId}/${screeningId}`
    const known = taken.get(key)
    if (known) return known
    if (taken.size >= screeningsMax) taken.delete(taken.keys().next().value)
    const fresh = new Set(soldBefore(filmId, screeningId))
    taken.set(key, fresh)
    return fresh
  }

  function refusalOf(seats, sold) {
    if (seats.length === 0) return { status: 400, code: 'NO_SEATS', message: 'Choose at least one seat.' }
    if (seats.length > seatsPerOrder) {
      return { status: 400, code: 'TOO_MANY_SEATS', message: `At most ${seatsPerOrder} seats an order.` }
    }
    const unknown = seats.find(seat => !allSeats.includes(seat))
    if (unknown) return { status: 400, code: 'UNKNOWN_SEAT', message: `There is no seat ${unknown}.` }
    const gone = seats.filter(seat => sold.has(seat))
    if (gone.length === 0) return undefined
    return { status: 409, code: 'SEAT_TAKEN', message: `Just sold to somebody else: ${gone.join(', ')}.` }
  }

  return {
    seatsPerRow,
    rows,
    changes,
    screening(filmId, screeningId) {
      const found = programmeOf(filmId).find(one => one.id === screeningId)
      return found && { ...found, rows, seatsPerRow, seatsPerOrder, taken: [...seatsOf(filmId, screeningId)] }
    },
    /** The same `key` twice gives the same order: a client that tries again pays once. */
    order(film, screeningId, { seats, name, email, key }) {
      const repeated = key && orders.get(key)
      if (repeated) return { order: repeated, repeated: true }
      const screening = programmeOf(film.id).find(one => one.id === screeningId)
      if (!screening)
        return { refused: { status: 404, code: 'NO_SCREENING', message: 'There is no such screening.' } }
      const sold = seatsOf(film.id, screeningId)
      const wanted = [...new Set(seats)]
      const refused = refusalOf(wanted, sold)
      if (refused) return { refused }
      for (const seat of wanted) sold.add(seat)
      const id = key || randomUUID()
      const order = {
        id,
        film: film.id,
        screening,
        seats: wanted,
        name,
        email,
        cents: wanted.length * screening.cents,
      }
      if (orders.size >= ordersMax) orders.delete(orders.keys().next().value)
      orders.set(id, order)
      changes.emit(`${film.id}/${screeningId}`, { taken: wanted })
      return { order, repeated: false }
    },
    orderOf: id => orders.get(id),
  }
}
