{{ azure_focus(source('bronze', 'azure_actual'), is_actual=true) }}
