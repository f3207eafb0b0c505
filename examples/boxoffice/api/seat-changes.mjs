// Tells streams of seats that others bought, through whichever instance. Asks the database twice a second, one question for
// each film whose screenings anybody here looks at, and nothing while nobody does. Asking instead of LISTEN: it is a read that
// replicas serve, keeps no connection to itself, misses nothing through a failover, and NOTIFY makes commits queue.

const pollMs = 500

const question = `
SELECT screening, array_agg(seat) AS sold FROM sold_seats WHERE film = $1 AND screening = ANY ($2::text[]) GROUP BY screening`

export function createSeatChanges(database) {
  /** By film and screening: who looks, and the seats that they know to be sold. */
  const watched = new Map()
  let timer

  async function look() {
    const byFilm = Map.groupBy(watched.values(), one => one.film)
    for (const [film, asked] of byFilm) {
      const screenings = asked.map(one => one.screening)
      for (const { screening, sold } of await database.rows('seat-changes', question, [film, screenings]))
        tell(watched.get(`${film}/${screening}`), sold)
    }
  }

  function tell(one, sold) {
    const taken = sold.filter(seat => !one?.sold.has(seat))
    if (taken.length === 0) return
    for (const seat of taken) one.sold.add(seat)
    for (const listener of one.listeners) listener({ taken })
  }

  async function beat() {
    try {
      await look()
    } catch (error) {
      console.error(`seat changes: ${error.message}; asked again in ${pollMs} ms`)
    }
    timer = watched.size > 0 ? setTimeout(beat, pollMs) : undefined
  }

  return {
    /** Seats sold at any time come in the first call, as a page may be older than the stream. Returns how to stop. */
    watch(film, screening, listener) {
      const key = `${film}/${screening}`
      const one = watched.get(key) ?? { film, screening, sold: new Set(), listeners: new Set() }
      watched.set(key, one)
      if (one.sold.size > 0) listener({ taken: [...one.sold] })
      one.listeners.add(listener)
      timer ??= setTimeout(beat, 0)
      return () => {
        one.listeners.delete(listener)
        if (one.listeners.size === 0) watched.delete(key)
      }
    },
    stop() {
      watched.clear()
      clearTimeout(timer)
    },
  }
}
