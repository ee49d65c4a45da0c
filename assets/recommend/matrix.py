"""The interaction matrix: how strongly each member is tied to each product.

Rows are members, columns are products, both in ascending order of their ids, so the same pairs
make the same matrix in whatever order they come. It is sparse throughout: what is missing means
"no known tie" and takes no memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar, cast, overload

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]

Id = TypeVar("Id", np.int64, np.str_)


class CsrMatrix(Protocol):
    """What is used of scipy's ``csr_matrix``, which publishes no types."""

    shape: tuple[int, int]
    nnz: int
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    data: NDArray[np.floating]

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> "CsrMatrix":
        """Some of the rows."""
        ...

    @overload
    def __matmul__(self, other: "CsrMatrix", /) -> "CsrMatrix": ...

    @overload
    def __matmul__(self, other: NDArray[np.float32], /) -> NDArray[np.float32]: ...

    def __matmul__(
        self, other: "CsrMatrix | NDArray[np.float32]", /
    ) -> "CsrMatrix | NDArray[np.float32]":
        """The product with a matrix or a vector."""
        ...

    def transpose(self) -> "CsrMatrix":
        """Rows for columns, in a layout that ``tocsr`` puts right."""
        ...

    def tocsr(self) -> "CsrMatrix":
        """The same in compressed rows."""
        ...

    def astype(self, dtype: type[np.float64], /) -> "CsrMatrix":
        """The same in another precision."""
        ...

    def copy(self) -> "CsrMatrix":
        """A matrix of its own with the same content."""
        ...

    def sort_indices(self) -> None:
        """Sorts the columns within each row."""
        ...

    def toarray(self) -> NDArray[np.float32]:
        """Every value, the missing ones as 0."""
        ...


def sparse(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.floating],
    shape: tuple[int, int],
) -> CsrMatrix:
    """A compressed sparse row matrix of float32 with sorted columns in each row.

    Args:
        rows: row of each value, shape (n_values,).
        columns: column of each value, shape (n_values,).
        values: what stands there; values at the same place are added, shape (n_values,).
        shape: number of rows and columns.
    """
    matrix = cast(CsrMatrix, csr_matrix((values, (rows, columns)), shape=shape, dtype=np.float32))
    matrix.sort_indices()
    return matrix


def cells(matrix: CsrMatrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of every stored value, rows ascending; each of shape (nnz,)."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return row, matrix.indices.astype(np.int64)


def positions(ids: NDArray[Id], wanted: NDArray[Id]) -> NDArray[np.int64]:
    """Where each wanted id stands among sorted ids, -1 where it does not.

    Args:
        ids: distinct ids in ascending order, shape (n_ids,).
        wanted: ids to look up, shape (n_wanted,).

    Returns:
        Positions, shape (n_wanted,).
    """
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    found = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[found] == wanted, found, -1).astype(np.int64)


def ids_of(names: pl.Series) -> NDArray[np.str_]:
    """Ids in a column as an array, in their order; shape (n,)."""
    return np.array(names.to_list(), dtype=np.str_)


def _is_ascending(ids: NDArray[Id]) -> bool:
    return bool(np.all(np.greater(ids[1:], ids[:-1])))


def _coded(ids: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """The distinct ids in ascending order, and the place of each id among them.

    By hashing, on all processors: sorting the ids of every pair takes longer than several
    iterations of the model.
    """
    distinct = ids.to_frame("id").unique().to_series().sort()
    places = distinct.to_frame().with_row_index("place")
    place = ids.to_frame("id").join(places, on="id", how="left", maintain_order="left")["place"]
    return distinct, place.cast(pl.Int64).to_numpy()


def _added(
    row: NDArray[np.int64], column: NDArray[np.int64], values: NDArray[np.float64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Each pair once, its values added from the smallest on, in double precision."""
    pair = row * width + column
    order = np.lexsort((values, pair))
    pair, values = pair[order], values[order]
    starts = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]])
    return pair[starts] // width, pair[starts] % width, np.add.reduceat(values, starts)


@dataclass(frozen=True, eq=False)
class InteractionMatrix:
    """Positive weights of member and product pairs.

    Attributes:
        member_ids: distinct, ascending, shape (n_members,).
        product_ids: distinct, ascending, shape (n_products,).
        weights: all above 0, shape (n_members, n_products).

    Raises:
        ValueError: ids are not distinct and ascending, shapes disagree, or a weight is not a
            positive finite number.
    """

    member_ids: NDArray[np.int64]
    product_ids: NDArray[np.str_]
    weights: CsrMatrix

    def __post_init__(self) -> None:
        """Refuses what would be misread later."""
        shape = (len(self.member_ids), len(self.product_ids))
        if self.weights.shape != shape:
            raise ValueError(f"weights are {self.weights.shape}, but the ids ask for {shape}")
        if not (_is_ascending(self.member_ids) and _is_ascending(self.product_ids)):
            raise ValueError("ids must be distinct and in ascending order")
        if not bool(np.all((self.weights.data > 0) & np.isfinite(self.weights.data))):
            raise ValueError("weights must be positive finite numbers")

    @classmethod
    def from_pairs(
        cls,
        member_id: ArrayLike,
        product_id: Sequence[str] | NDArray[np.str_] | pl.Series,
        weight: ArrayLike,
    ) -> Self:
        """Builds the matrix from pairs in any order.

        Weights of the same pair are added, smallest first and in double precision, so the order
        of the pairs leaves no trace; what does not stay above 0, such as an order that was
        refunded, is dropped, and with it members and products that have nothing else.

        Args:
            member_id: shape (n_pairs,).
            product_id: shape (n_pairs,).
            weight: may be negative, shape (n_pairs,).

        Raises:
            ValueError: lengths differ, an id is missing, or a weight is not finite.
        """
        members = np.asarray(member_id, dtype=np.int64)
        products = pl.Series("product_id", product_id, dtype=pl.String)
        values = np.asarray(weight, dtype=np.float64)
        if not members.shape == values.shape == (len(products),):
            raise ValueError(
                "member_id, product_id and weight must be of one length, "
                f"not {members.shape}, {(len(products),)} and {values.shape}"
            )
        if products.null_count():
            raise ValueError("product_id must not be missing")
        if not bool(np.isfinite(values).all()):
            raise ValueError("weight must be finite")

        member_ids, row = _coded(pl.Series("member_id", members))
        product_ids, column = _coded(products)
        shape = (len(member_ids), len(product_ids))
        weights = sparse(row, column, values, shape)
        if weights.nnz < len(values):
            weights = sparse(*_added(row, column, values, shape[1]), shape)
        names = np.array(product_ids.to_list(), dtype=np.str_)
        if bool(np.all(weights.data > 0)):
            return cls(member_ids.to_numpy(), names, weights)

        kept = weights.data > 0
        row = np.repeat(np.arange(shape[0]), np.diff(weights.indptr))[kept]
        column = weights.indices[kept].astype(np.int64)
        kept_rows, rows = np.unique(row, return_inverse=True)
        kept_columns, columns = np.unique(column, return_inverse=True)
        return cls(
            member_ids=member_ids.to_numpy()[kept_rows],
            product_ids=names[kept_columns],
            weights=sparse(rows, columns, weights.data[kept], (len(kept_rows), len(kept_columns))),
        )

    def member_index(self, member_id: ArrayLike) -> NDArray[np.int64]:
        """Rows of the given members, -1 for those without any; shape (n_wanted,)."""
        return positions(self.member_ids, np.asarray(member_id, dtype=np.int64))
