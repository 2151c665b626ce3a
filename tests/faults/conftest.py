from tests.processes.conftest import make_project as make_project
