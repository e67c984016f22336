"""From bytes that somebody sent to a Submission: the same checks for the API and for direct producers."""

from pipelines.admission.admission import Admission, Origin
from pipelines.admission.refused import Kind, Refused

__all__ = ["Admission", "Kind", "Origin", "Refused"]
