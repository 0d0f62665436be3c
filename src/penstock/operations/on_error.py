"""on_error: what becomes of items that fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from penstock.graph.node import Node, Place, operation
from penstock.graph.policy import Policy, Retry, again, budget, checked, text

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class OnError(Node):
    """The same items, and a policy for those whose computation fails in a step before this one.

    With ``own``, only failures of the step directly before count. Where items may be left out, the result is a stream:
    which item stands at a position depends on all before it.
    """

    rereads = False

    input: Node
    policy: Policy
    own: bool = False

    elementwise = True
    pure = True

    def check(self) -> None:
        """Refuse what is no policy."""
        said = (f"{self.step}()", "on_error") if self.own else ("on_error()",)
        self.normalise(policy=checked(self.policy, *said))

    @property
    def step(self) -> str:
        """The method of the step before."""
        return self.input.label().partition("(")[0]

    @property
    def positional(self) -> bool:
        """Whether nothing is ever left out."""
        return self.input.positional and budget(self.policy) is None

    @property
    def uneven(self) -> bool:  # type: ignore[override]
        """Whether items may be left out."""
        return budget(self.policy) is not None

    def length(self) -> int | None:
        """Return the length of the input, where nothing is left out."""
        return self.input.length() if self.positional else None

    def concerns(self, error: BaseException, read: Reading) -> bool:
        """Tell whether this policy is for an error."""
        if not isinstance(error, Exception) or self.policy == "raise":
            return False
        return not self.own or getattr(error, "_penstock_blamed", None) == read.plan.nodes.index_of(self.input)

    def item(self, index: int, read: Reading) -> Any:
        """Compute an item; if that fails, follow the policy."""
        try:
            return read.item(self.input, index)
        except Exception as error:
            if not self.concerns(error, read):
                raise
            failure = error
        policy = self.policy
        if isinstance(policy, Retry):
            value, problem = again(policy, lambda: read.item(self.input, index), failure)
            if problem is None:
                return value
            failure, policy = problem, policy.then
        if callable(policy):
            return policy(failure, read.origin(self.input, index))
        raise failure

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute many items; if one fails, one by one."""
        try:
            return read.gather(self.input, indices)
        except Exception as error:
            if not self.concerns(error, read):
                raise
        return super().gather(indices, read)

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return the element: failures never come this far."""
        return (value,)

    def label(self) -> str:
        """Return the policy, and whose it is where it was said as an option of one step."""
        return f"on_error({text(self.policy)}){f' of {self.step}' if self.own else ''}"
