"""Measures of networks: pure functions of parameters and task, for any number of runs at once.

`measure` gives the numbers of instruments for what they observe, an `Observed`. The files of this
package register what each instrument of `grokjax.config.instruments` measures. They import no
training: what they need of that, they are given.
"""

from grokjax.measures import ablations as ablations
from grokjax.measures import fourier as fourier
from grokjax.measures import geometry as geometry
from grokjax.measures import landscape as landscape
from grokjax.measures import norms as norms
from grokjax.measures import numerics as numerics
from grokjax.measures import probes as probes
from grokjax.measures import representations as representations
from grokjax.measures import row_groups as row_groups
from grokjax.measures import spectra as spectra
from grokjax.measures.observed import Measures as Measures
from grokjax.measures.observed import Observed as Observed
from grokjax.measures.observed import TrainingRows as TrainingRows
from grokjax.measures.observed import measure as measure
