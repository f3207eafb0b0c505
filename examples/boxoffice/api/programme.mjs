// Which film is shown when and where. Planned ahead for every film, by whichever instance looks first; the same day is
// never planned twice. What other outlets sold is part of the plan: a believable house is not empty.

const lock = 7_264_111
const daysPlanned = 7
/** Screenings that nobody bought a seat for are forgotten so long after their day. */
const daysKept = 7
const today = "(now() AT TIME ZONE 'UTC')::date"

/** The n-th of four pieces of 96 pseudo-random bits, the same for the same screening. */
const bits = piece => `('x' || substr(hash.hex, ${piece * 24 + 1}, 24))::bit(96)`

const planned = `
SELECT coalesce(max(day) >= ${today} + ${daysPlanned - 1}, false) AS planned FROM screenings`

const plan = `
INSERT INTO screenings (film, id, day, starts, hall, cents, elsewhere)
SELECT film.id, day || '-' || replace(slot.starts, ':', ''), day, slot.starts, hall.name, hall.cents,
  (${bits(0)} & ${bits(1)}) | (${bits(2)} & repeat('000111111000', 8)::bit(96) & ${bits(3)})
FROM films AS film
CROSS JOIN (SELECT ${today} + ahead AS day FROM generate_series(0, ${daysPlanned - 1}) AS ahead) AS days
CROSS JOIN (VALUES ('15:00', 1), ('17:45', 2), ('20:30', 0)) AS slot (starts, often)
JOIN (VALUES ('Aurora', 1250, 0), ('Lumière', 1400, 1), ('Orpheum', 1150, 2)) AS hall (name, cents, number)
  ON hall.number = (hashtext(film.id)::bigint + (day - DATE '2000-01-01') + 2147483648) % 3
CROSS JOIN LATERAL (SELECT encode(sha512(convert_to(film.id || day || slot.starts, 'UTF8')), 'hex') AS hex) AS hash
WHERE slot.often = 0 OR hashtext(film.id || day) & slot.often > 0
ON CONFLICT DO NOTHING`

export function createProgramme(database, setup) {
  return {
    /** Plans the days that are not planned yet. Cheap when there are none. */
    async plan() {
      if ((await database.rows('planned', planned))[0].planned) return
      await setup.transaction(async client => {
        await client.query('SELECT pg_advisory_xact_lock($1)', [lock])
        // Somebody else did, while we waited.
        if ((await client.query(planned)).rows[0].planned) return
        await client.query(plan)
        await client.query(
          `DELETE FROM screenings AS old WHERE day < ${today} - ${daysKept}
           AND NOT EXISTS (SELECT FROM orders WHERE film = old.film AND screening = old.id)`,
        )
      })
    },
    /** The next five days of a film. */
    screeningsOf: film =>
      database.rows(
        'programme',
        `SELECT id, day::text AS date, starts AS time, hall, cents FROM screenings
         WHERE film = $1 AND day BETWEEN ${today} AND ${today} + 4 ORDER BY id`,
        [film],
      ),
  }
}
