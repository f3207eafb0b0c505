// Films: one by its id, and pages of those that hold every word of a search. Reads only.

const orders = {
  popular: 'votes DESC, id',
  rating: 'CASE WHEN votes > 500 THEN coalesce(rating, 0) ELSE 0 END DESC, id',
  newest: 'coalesce(year, 0) DESC, votes DESC, id',
  oldest: 'coalesce(year, 9999), votes DESC, id',
  title: 'sort_key, id',
}
export const sorts = Object.keys(orders)

const columns =
  'id, title, year, genre, director, certificate, minutes, distributor, source, rating, votes, critics, gross, budget'
const fits = "($1 = '' OR genre = $1) AND words LIKE ALL ($2::text[])"
const wordsMax = 8

const plain = text => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()

function patternsOf(q) {
  const words = plain(q).split(/\s+/).filter(Boolean).slice(0, wordsMax)
  return words.map(word => `%${word.replace(/[\\%_]/g, letter => `\\${letter}`)}%`)
}

export function createCatalogue(database) {
  return {
    async find(id) {
      const [film] = await database.rows('film', `SELECT ${columns} FROM films WHERE id = $1`, [id])
      return film
    },
    /** One page of the films that hold every word of `q`; a page beyond the last is the last. */
    async search({ q = '', genre = '', sort = 'popular', page = 1, size = 24 }) {
      const filter = [genre, patternsOf(q)]
      const [[{ total }], genres] = await Promise.all([
        database.rows('film-count', `SELECT count(*)::int AS total FROM films WHERE ${fits}`, filter),
        database.rows('genres', 'SELECT DISTINCT genre FROM films ORDER BY genre'),
      ])
      const pages = Math.max(1, Math.ceil(total / size))
      const shown = Math.min(page, pages)
      const films = await database.rows(
        `films-${sort}`,
        `SELECT ${columns} FROM films WHERE ${fits} ORDER BY ${orders[sort]} LIMIT $3 OFFSET $4`,
        [...filter, size, (shown - 1) * size],
      )
      return { films, total, page: shown, pages, genres: genres.map(row => row.genre), sorts }
    },
  }
}
